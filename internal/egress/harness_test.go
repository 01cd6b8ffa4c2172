package egress

import (
	"bytes"
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"sync"
	"testing"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// names is a resolver: each look-up of a name takes the next of its answers, the last one stays.
type names struct {
	mu      sync.Mutex
	answers map[string][][]string
	asked   []string
}

func (n *names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, host)
	left := n.answers[host]
	if len(left) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	if len(left) > 1 {
		n.answers[host] = left[1:]
	}
	var ips []netip.Addr
	for _, text := range left[0] {
		ips = append(ips, netip.MustParseAddr(text))
	}
	return ips, nil
}

func (n *names) lookups() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.asked)
}

func resolver(name string, answers ...[]string) *names {
	return &names{answers: map[string][][]string{name: answers}}
}

func to(ips ...string) []string { return ips }

// logBuffer is a log that several goroutines write.
type logBuffer struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}

// rig is a policy with its log.
type rig struct {
	*Policy
	log *logBuffer
}

func newRig(t testing.TB, s Settings, o Options) *rig {
	t.Helper()
	r := &rig{log: &logBuffer{}}
	o.Log = zerolog.New(r.log)
	if o.Resolver == nil {
		o.Resolver = &names{}
	}
	var err error
	if r.Policy, err = New(s, o); err != nil {
		t.Fatal(err)
	}
	return r
}

// site is a server of TLS on the loopback; its certificate is for example.com and 127.0.0.1.
type site struct {
	*httptest.Server
	port  string
	roots *x509.CertPool
}

func newSite(t testing.TB, handler http.HandlerFunc) *site {
	t.Helper()
	s := &site{Server: httptest.NewTLSServer(handler), roots: x509.NewCertPool()}
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	s.port = u.Port()
	s.roots.AddCert(s.Certificate())
	return s
}

// settings let a test reach the site: loopback in one address only, so that another one is refused.
func (s *site) settings() Settings {
	return Settings{AllowCIDRs: []string{"127.0.0.1/32"}, AllowPorts: []string{s.port}}
}

// client is a client as notify has it.
func client(t testing.TB, p *Policy) *http.Client {
	t.Helper()
	c := &http.Client{
		Transport:     p.Transport(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func point(t testing.TB, r Report, code string) Point {
	t.Helper()
	for _, p := range r.Points {
		if p.Code == code {
			return p
		}
	}
	t.Fatalf("no point %s in %+v", code, r)
	return Point{}
}
