package egress

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func post(t testing.TB, c *http.Client, address string) (int, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, nil
}

// wantRefused makes sure that err is a refusal that says nothing of the IP.
func wantRefused(t testing.TB, err error) {
	t.Helper()
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		t.Fatalf("not refused: %v", err)
	}
	if refusal.Retryable() || refusal.Class() != "address" || refusal.Error() != "address not permitted" {
		t.Errorf("%v, retryable %t, class %s", refusal, refusal.Retryable(), refusal.Class())
	}
}

// TestTransport: a permitted address is reached, by HTTP/2 and with one look-up for each connection.
func TestTransport(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	r := newRig(t, s.settings(), Options{Resolver: resolver("example.com", to("127.0.0.1")), RootCAs: s.roots})
	c := client(t, r.Policy)
	for range 3 {
		if status, err := post(t, c, "https://example.com:"+s.port+"/secret"); status != http.StatusNoContent {
			t.Fatalf("%d, %v", status, err)
		}
	}
	if n := r.resolver.(*names).lookups(); n != 1 {
		t.Errorf("%d look-ups for one connection", n)
	}
	if r.log.String() != "" {
		t.Errorf("logged: %s", r.log)
	}
}

// TestRebinding: a name that leads to a permitted address when it is checked, and elsewhere when it is dialled, is refused before any
// connection is made, although somebody listens there.
func TestRebinding(t *testing.T) {
	s := newSite(t, func(http.ResponseWriter, *http.Request) {})
	var reached atomic.Int64
	inside, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.2:"+s.port)
	if err != nil && os.Getenv("CI") != "" {
		t.Fatalf("CI never skips: this machine has no 127.0.0.2: %v", err)
	}
	if err != nil {
		t.Skipf("SKIPPED: this machine has no 127.0.0.2: %v", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := inside.Accept()
			if err != nil {
				return
			}
			reached.Add(1)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = inside.Close(); <-done })

	dns := resolver("example.com", to("127.0.0.1"), to("127.0.0.2"), to("127.0.0.1", "127.0.0.2"), to("127.0.0.1"))
	r := newRig(t, s.settings(), Options{Resolver: dns, RootCAs: s.roots})
	address := "https://example.com:" + s.port + "/robot?key=Hush-hush"
	if report := r.Check(t.Context(), address, CodeArts{}); report.Failed() || point(t, report, TLSValid).Verdict != OK {
		t.Fatalf("the check: %+v", report)
	}
	c := client(t, r.Policy)
	for range 2 { // elsewhere, then both
		_, err = post(t, c, address)
		wantRefused(t, err)
	}
	if _, err := post(t, c, address); err != nil {
		t.Errorf("back where it was: %v", err)
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("%d connections to the other address", n)
	}
	if log := r.log.String(); strings.Count(log, `"message":"address refused"`) != 2 || !strings.Contains(log, "127.0.0.2") || strings.Contains(log, "Hush") {
		t.Errorf("log: %s", log)
	}
}

// TestControl: the socket is judged whatever was judged before.
func TestControl(t *testing.T) {
	r := newRig(t, Settings{AllowHosts: []string{"chat.corp.example"}}, Options{})
	for _, row := range []struct {
		host, network, address string
		ok                     bool
	}{
		{"a.example", "tcp4", "93.184.216.34:443", true},
		{"a.example", "tcp6", "[2606:4700::1]:443", true},
		{"a.example", "udp4", "93.184.216.34:443", false},
		{"a.example", "tcp4", "93.184.216.34:444", false},
		{"a.example", "tcp4", "127.0.0.1:443", false},
		{"a.example", "tcp4", "168.63.129.16:443", false},
		{"a.example", "tcp4", "10.0.0.1:443", false},
		{"chat.corp.example", "tcp4", "10.0.0.1:443", true},
		{"chat.corp.example", "tcp4", "100.100.100.200:443", false},
		{"a.example", "tcp6", "[::ffff:93.184.216.34]:443", false},
		{"a.example", "unix", "/run/docker.sock", false},
	} {
		h, bad := parseHost(row.host)
		if bad != nil {
			t.Fatal(bad.text)
		}
		if err := r.control(h)(row.network, row.address, nil); (err == nil) != row.ok {
			t.Errorf("%s at %s: %v", row.host, row.address, err)
		}
	}
}

// TestRefusedAtTheSocket: what the socket's judgement refuses is the bare refusal, without the IP that net puts around it.
func TestRefusedAtTheSocket(t *testing.T) {
	r := newRig(t, Settings{}, Options{})
	_, err := r.connect(t.Context(), host{text: "robot.example"}, []netip.Addr{loopback}, 443)
	wantRefused(t, err)
	if err.Error() != "address not permitted" {
		t.Errorf("it says %v", err)
	}
}

// TestRedirects: a client that follows redirects cannot, wherever they lead; one that does not sees the answer.
func TestRedirects(t *testing.T) {
	var asked atomic.Int64
	var s *site
	s = newSite(t, func(w http.ResponseWriter, req *http.Request) {
		asked.Add(1)
		http.Redirect(w, req, s.URL+"/elsewhere", http.StatusTemporaryRedirect)
	})
	r := newRig(t, s.settings(), Options{RootCAs: s.roots})
	if status, err := post(t, client(t, r.Policy), s.URL+"/a"); status != http.StatusTemporaryRedirect {
		t.Errorf("%d, %v", status, err)
	}
	follower := &http.Client{Transport: r.Transport()}
	defer follower.CloseIdleConnections()
	_, err := post(t, follower, s.URL+"/a")
	var refusal *Refusal
	if !errors.As(err, &refusal) || refusal.Retryable() || refusal.Error() != "redirects are not followed" {
		t.Errorf("followed: %v", err)
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}

// TestNoLookupOfLiterals: an IP address is judged and dialled without a name server.
func TestNoLookupOfLiterals(t *testing.T) {
	s := newSite(t, func(http.ResponseWriter, *http.Request) {})
	r := newRig(t, s.settings(), Options{RootCAs: s.roots})
	if _, err := post(t, client(t, r.Policy), s.URL); err != nil {
		t.Error(err)
	}
	if report := r.Check(t.Context(), s.URL, CodeArts{}); report.Failed() {
		t.Errorf("%+v", report)
	}
	for _, address := range []string{"https://127.0.0.3", "https://[::1]", "https://169.254.169.254/latest", "https://[64:ff9b::a9fe:a9fe]"} {
		_, err := post(t, client(t, r.Policy), address)
		wantRefused(t, err)
	}
	if n := r.resolver.(*names).lookups(); n != 0 {
		t.Errorf("%d look-ups", n)
	}
}

// TestRefusedBeforeDial: what an address says by itself is judged in every request.
func TestRefusedBeforeDial(t *testing.T) {
	r := newRig(t, Settings{}, Options{})
	c := client(t, r.Policy)
	for _, address := range []string{
		"http://example.com", "https://example.com:8443", "https://example.com:0", "https://user:pw@example.com", "https://2130706433",
		"https://0x7f.1", "https://0177.0.0.1", "https://127.1", "https://[fe80::1%25eth0]", "https://[::ffff:10.0.0.1]", "https://１２７.0.0.1",
	} {
		_, err := post(t, c, address)
		wantRefused(t, err)
	}
	if n := r.resolver.(*names).lookups(); n != 0 {
		t.Errorf("%d look-ups", n)
	}
}

// TestNoProxyFromEnvironment: HTTPS_PROXY is for others.
func TestNoProxyFromEnvironment(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	s := newSite(t, func(http.ResponseWriter, *http.Request) {})
	r := newRig(t, s.settings(), Options{Resolver: resolver("example.com", to("127.0.0.1")), RootCAs: s.roots})
	if _, err := post(t, client(t, r.Policy), "https://example.com:"+s.port); err != nil {
		t.Error(err)
	}
}

// TestProxy: everything goes to the proxy, which looks names up; what needs no look-up is still judged here.
func TestProxy(t *testing.T) {
	var seen atomic.Pointer[string]
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		target := req.Method + " " + req.URL.String()
		seen.Store(&target)
		w.WriteHeader(http.StatusTeapot)
	}))
	t.Cleanup(proxy.Close)
	r := newRig(t, Settings{AllowHTTP: true, Proxy: proxy.URL}, Options{})
	c := client(t, r.Policy)
	if status, err := post(t, c, "http://robot.example/x"); status != http.StatusTeapot || *seen.Load() != "POST http://robot.example/x" {
		t.Errorf("%d, %v", status, err)
	}
	if _, err := post(t, c, "https://robot.example/x"); err == nil || !strings.HasPrefix(*seen.Load(), "CONNECT ") {
		t.Errorf("%v, the proxy saw %s", err, *seen.Load())
	}
	seen.Store(nil)
	for _, address := range []string{"http://169.254.169.254/x", "http://10.0.0.1/", "http://localhost/", "http://robot.example:8080/", "http://[::1]/"} {
		_, err := post(t, c, address)
		wantRefused(t, err)
	}
	if seen.Load() != nil {
		t.Errorf("the proxy saw %s", *seen.Load())
	}
	if n := r.resolver.(*names).lookups(); n != 0 {
		t.Errorf("%d look-ups", n)
	}
	report := r.Check(t.Context(), "https://robot.example/x", CodeArts{})
	for _, code := range []string{Resolves, AddressesPermitted, TLSValid} {
		if p := point(t, report, code); p.Verdict != Skipped || !strings.Contains(p.Text, "proxy") {
			t.Errorf("%+v", p)
		}
	}
	if _, err := r.dial(t.Context(), "tcp", "robot.example:443"); err == nil {
		t.Error("dialled beside the proxy")
	}
}

// TestDialTriesAll: of several permitted addresses one that answers is enough.
func TestDialTriesAll(t *testing.T) {
	s := newSite(t, func(http.ResponseWriter, *http.Request) {})
	settings := s.settings()
	settings.AllowCIDRs = []string{"127.0.0.0/8"}
	r := newRig(t, settings, Options{Resolver: resolver("example.com", to("127.0.0.9", "127.0.0.1")), RootCAs: s.roots})
	if _, err := post(t, client(t, r.Policy), "https://example.com:"+s.port); err != nil {
		t.Error(err)
	}
	_, err := post(t, client(t, r.Policy), "https://nowhere.example:"+s.port)
	var dns *net.DNSError
	if !errors.As(err, &dns) {
		t.Errorf("a name that is not there: %v", err)
	}
}

func TestTransportLimits(t *testing.T) {
	r := newRig(t, Settings{}, Options{})
	tr := r.Transport().(*transport).http
	if tr.Proxy != nil || !tr.ForceAttemptHTTP2 || !tr.DisableCompression || tr.TLSHandshakeTimeout > 10*time.Second || tr.MaxResponseHeaderBytes > 1<<20 {
		t.Errorf("%+v", tr)
	}
}

func TestNew(t *testing.T) {
	_, err := New(Settings{
		AllowCIDRs: []string{"10.0.0.0/8", "10.0.0.1", "::ffff:10.0.0.0/104"},
		AllowHosts: []string{"chat.example", "*.Corp.Example.", "10.0.0.1", "*", "a..b", "https://x"},
		AllowPorts: []string{"8443", "9000-9010", "0", "70000", "9-8", "http"},
		Proxy:      "http://user:pw-marker@proxy",
	}, Options{})
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != 2+4+4+1 || strings.Contains(err.Error(), "pw-marker") {
		t.Errorf("faults: %v", err)
	}
	for _, proxy := range []string{"socks5://proxy", "proxy:3128", "http://proxy/path", "http://169.254.169.254", "http://proxy?x", "http://"} {
		if _, err := New(Settings{Proxy: proxy}, Options{}); err == nil {
			t.Errorf("proxy %s is taken", proxy)
		}
	}
	p, err := New(Settings{AllowHosts: []string{"chat.example", "*.Corp.Example."}, AllowPorts: []string{"9000-9010"}, Proxy: "https://proxy.example"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if p.proxyAddress() != "proxy.example:443" {
		t.Error(p.proxyAddress())
	}
	for name, want := range map[string]bool{"chat.example": true, "x.chat.example": false, "a.b.corp.example": true, "corp.example": false, "evilcorp.example": false} {
		h, _ := parseHost(name)
		if got := p.unfit(netip.MustParseAddr("10.0.0.1"), h) == ""; got != want {
			t.Errorf("%s at a private address: %t", name, got)
		}
	}
	for port, want := range map[uint16]bool{443: true, 80: false, 9000: true, 9010: true, 9011: false, 0: false} {
		if p.portPermitted(port) != want {
			t.Errorf("port %d: %t", port, !want)
		}
	}
	if u := (&url.URL{Scheme: "https", Host: "a"}); portOf(u) != 443 {
		t.Error("the usual port")
	}
}
