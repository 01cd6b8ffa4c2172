package codearts

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// DefaultTimeout bounds one request, from the first byte out to the last byte in.
const DefaultTimeout = 10 * time.Second

// The values of Config.RepoAPI. The vendor's page CreateCommit describes v4 since 2025; some calls of v2 are marked as deprecated, without a date.
const (
	RepoV2 = "v2"
	RepoV4 = "v4"
)

// Config says where CodeArts is and who calls it.
type Config struct {
	// Region gives the hosts that are not set below, see Regions.
	Region string
	// BuildEndpoint, RepoEndpoint and IAMEndpoint replace the region's hosts: "https://host[:port][/prefix]"; http for loopback addresses.
	BuildEndpoint, RepoEndpoint, IAMEndpoint string
	// RepoAPI is the API that commits and files are asked for with: RepoV2 or RepoV4; "" is RepoV2. The types of Go are the same.
	RepoAPI string
	// Credentials is StaticToken, Password or AKSK. Required.
	Credentials Credentials
	// Tokens keeps the tokens of Password; share one among the clients of a process. nil is one of its own.
	Tokens *TokenCache
	// Limiter holds back requests to each host; share one among the clients of a process. nil is none.
	Limiter *Limiter
	// Transport carries the requests; nil is one of its own, with the usual limits.
	Transport http.RoundTripper
	// Timeout bounds each request; 0 is DefaultTimeout.
	Timeout time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Observe is told of every request that was sent, also those that sign in: the name of its operation, the HTTP status (0: no whole
	// answer came) and how long it took. It is called by the goroutine of the call and must be quick. May be nil.
	Observe func(operation string, status int, took time.Duration)
	// PlainHTTP allows http endpoints that are not on this machine. For a fake CodeArts in a test network, nothing else.
	PlainHTTP bool
	// Codes says what error codes mean that the vendor does not document: ErrNotFound, ErrConflict and so on, by the code as it is
	// sent. Which code Repo gives for a file that is missing, exists, or has changed, is not documented. May be nil.
	Codes map[string]error
}

// Client calls CodeArts. It is safe for concurrent use and holds no goroutine.
type Client struct {
	operations map[string]*Operation
	endpoints  map[Service]endpoint
	region     string
	repoAPI    string      // RepoV2 or RepoV4
	otherFile  atomic.Bool // files are at their other path, see useV4
	transport  http.RoundTripper
	timeout    time.Duration
	now        func() time.Time
	observe    func(operation string, status int, took time.Duration)
	signer     signer
	tokens     *TokenCache
	limiter    *Limiter // may be nil
	codes      map[string]error
}

// New checks cfg and returns a client. It sends nothing.
func New(cfg Config) (*Client, error) {
	c := &Client{
		endpoints: map[Service]endpoint{},
		region:    cfg.Region,
		repoAPI:   cfg.RepoAPI,
		timeout:   cfg.Timeout,
		now:       cfg.Now,
		observe:   cfg.Observe,
		codes:     maps.Clone(cfg.Codes),
		tokens:    cfg.Tokens,
		limiter:   cfg.Limiter,
	}
	rows := newOperations()
	c.operations = make(map[string]*Operation, len(rows))
	for i := range rows {
		c.operations[rows[i].Name] = &rows[i]
	}
	if c.tokens == nil {
		c.tokens = &TokenCache{}
	}
	if c.repoAPI == "" {
		c.repoAPI = RepoV2
	}
	if c.repoAPI != RepoV2 && c.repoAPI != RepoV4 {
		return nil, fmt.Errorf("codearts: RepoAPI is %q, and has to be %q or %q", clip(c.repoAPI, 40), RepoV2, RepoV4)
	}
	if c.isV4() {
		c.useV4()
	}
	if c.timeout <= 0 {
		c.timeout = DefaultTimeout
	}
	if c.now == nil {
		c.now = time.Now
	}
	if err := c.locate(cfg); err != nil {
		return nil, err
	}
	// The transport is called as it is: what http.Client adds, redirects and cookies, is not wanted here.
	if c.transport = cfg.Transport; c.transport == nil {
		c.transport = defaultTransport()
	}
	if cfg.Credentials == nil {
		return nil, errors.New("codearts: credentials are missing: give a token, an access key, or a user with its domain and password")
	}
	var err error
	if c.signer, err = cfg.Credentials.signer(c); err != nil {
		return nil, err
	}
	return c, nil
}

// defaultTransport has room for many calls to the same two hosts. A proxy of the environment is used: it is how many get out.
func defaultTransport() http.RoundTripper {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: 90 * time.Second, MaxIdleConns: 100, MaxIdleConnsPerHost: 32,
		MaxResponseHeaderBytes: 1 << 20, // a token, which is in a header, may have 100,000 bytes
	}
}

// locate finds the endpoint of each service. One that is unknown fails when it is called.
func (c *Client) locate(cfg Config) error {
	settings := []struct {
		service Service
		name    string
		value   string
	}{
		{ServiceBuild, "build_endpoint", cfg.BuildEndpoint},
		{ServiceRepo, "repo_endpoint", cfg.RepoEndpoint},
		{ServiceIAM, "iam_endpoint", cfg.IAMEndpoint},
	}
	for _, s := range settings {
		if s.value == "" {
			s.value = DefaultEndpoint(s.service, cfg.Region)
		}
		if s.value == "" {
			continue
		}
		e, err := parseEndpoint(s.name, s.value, cfg.PlainHTTP)
		if err != nil {
			return err
		}
		c.endpoints[s.service] = e
	}
	if len(c.endpoints) == 0 {
		return fmt.Errorf("codearts: region %q has no known hosts: use one of %s, or set the endpoints", cfg.Region, strings.Join(Regions(), ", "))
	}
	return nil
}

// CloseIdleConnections closes connections that carry no request now.
func (c *Client) CloseIdleConnections() {
	if t, ok := c.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}
