package egress

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"time"
)

// Transport is a round tripper that dials only what the policy permits: a request elsewhere fails with a *Refusal, and so does one that a
// client makes because it was redirected. It uses no proxy but the policy's, and does not decompress. It has a
// CloseIdleConnections. Each call makes one with connections of its own.
func (p *Policy) Transport() http.RoundTripper {
	t := &http.Transport{
		DialContext:           p.dial,
		TLSClientConfig:       &tls.Config{RootCAs: p.roots, MinVersion: tls.VersionTLS12, Time: p.now},
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: 15 * time.Second,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConns:          32,
		// A larger head of an answer is nothing a chat product sends.
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true,
		// DialContext alone would turn HTTP/2 off.
		ForceAttemptHTTP2: true,
	}
	if p.proxy != nil {
		t.Proxy = http.ProxyURL(p.proxy)
	}
	return &transport{policy: p, http: t}
}

type transport struct {
	policy *Policy
	http   *http.Transport
}

// RoundTrip judges what can be judged without a name server, also for a proxy, and then sends; the rest is judged when it dials.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.policy.permits(req); err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // as RoundTripper promises
		}
		return nil, err
	}
	return t.http.RoundTrip(req)
}

// CloseIdleConnections closes connections that carry no request now.
func (t *transport) CloseIdleConnections() { t.http.CloseIdleConnections() }

// permits returns a *Refusal for a request whose address alone is reason enough.
func (p *Policy) permits(req *http.Request) error {
	h, bad := parseHost(req.URL.Hostname())
	port := portOf(req.URL)
	switch {
	case req.Response != nil: // set by http.Client when it follows a redirect
		return &Refusal{redirect: true}
	case bad != nil:
		return p.refuse(ellipsis, bad.text)
	case !p.schemePermitted(req.URL.Scheme):
		return p.refuse(h.text, "the scheme")
	case req.URL.User != nil:
		return p.refuse(h.text, "a user or a password in the address")
	case !p.portPermitted(port):
		return p.refuse(h.text, "the port")
	case h.ip.IsValid():
		return p.judge(h, []netip.Addr{h.ip})
	case p.proxy != nil && h.local():
		return p.judge(h, []netip.Addr{loopback})
	}
	return nil
}
