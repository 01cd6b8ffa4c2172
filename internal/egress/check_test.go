package egress

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const mark = "Hush-hush-5c1e"

// verdicts are a report's verdicts, in a line.
func verdicts(r Report) string {
	var all []string
	for _, p := range r.Points {
		all = append(all, string(p.Verdict))
	}
	return strings.Join(all, " ")
}

func codes(r Report) []string {
	var all []string
	for _, p := range r.Points {
		all = append(all, p.Code)
	}
	return all
}

// TestForm: what can be said without asking anybody. Columns: well_formed scheme host port resolves addresses_permitted tls_valid product
// product_shape codearts_verdict.
func TestForm(t *testing.T) {
	const nothing = "fail skipped skipped skipped skipped skipped skipped skipped skipped skipped"
	r := newRig(t, Settings{}, Options{})
	open := newRig(t, Settings{AllowHTTP: true, AllowCIDRs: []string{"127.0.0.0/8", "::1/128"}, AllowPorts: []string{"9000-9010"}}, Options{})
	for _, row := range []struct {
		address, masked, want string
		open                  bool
	}{
		{"https://oapi.dingtalk.com/robot/send?access_token=" + mark, "https://oapi.dingtalk.com/…", "ok ok ok ok skipped skipped skipped ok ok skipped", false},
		{"HTTPS://OAPI.DingTalk.com:443/robot/send?access_token=" + mark, "https://oapi.dingtalk.com:443/…", "ok ok ok ok skipped skipped skipped ok ok skipped", false},
		{"https://oapi.dingtalk.com./robot/send?access_token=" + mark, "https://oapi.dingtalk.com/…", "ok ok warn ok skipped skipped skipped ok ok skipped", false},
		{"https://oapi.dingtalk.com/robot/" + mark, "https://oapi.dingtalk.com/…", "ok ok ok ok skipped skipped skipped ok fail skipped", false},
		{"https://hooks.example.com/" + mark, "https://hooks.example.com/…", "ok ok ok ok skipped skipped skipped warn skipped skipped", false},
		{"http://hooks.example.com/" + mark, "http://hooks.example.com/…", "ok fail ok skipped skipped skipped skipped warn skipped skipped", false},
		{"http://hooks.example.com/" + mark, "http://hooks.example.com/…", "ok warn ok ok skipped skipped skipped warn skipped skipped", true},
		{"ftp://hooks.example.com/" + mark, "…", "ok fail ok skipped skipped skipped skipped warn skipped skipped", false},
		{"https://hooks.example.com:8443/" + mark, "https://hooks.example.com:8443/…", "ok ok ok fail skipped skipped skipped warn skipped skipped", false},
		{"https://hooks.example.com:9010/" + mark, "https://hooks.example.com:9010/…", "ok ok ok ok skipped skipped skipped warn skipped skipped", true},
		{"https://hooks.example.com:0/" + mark, "https://hooks.example.com/…", "ok ok ok fail skipped skipped skipped warn skipped skipped", false},
		{"https://hooks.example.com:99999/" + mark, "https://hooks.example.com/…", "ok ok ok fail skipped skipped skipped warn skipped skipped", false},
		{"https://hooks.example.com:/" + mark, "https://hooks.example.com/…", "ok ok ok ok skipped skipped skipped warn skipped skipped", false},
		{"https:///" + mark, "…", "ok ok fail ok skipped skipped skipped warn skipped skipped", false},
		// Hosts that are addresses, in the usual form.
		{"https://93.184.216.34/" + mark, "https://93.184.216.34/…", "ok ok ok ok skipped ok skipped warn skipped skipped", false},
		{"https://[2606:4700:0::1]/" + mark, "https://[2606:4700::1]/…", "ok ok ok ok skipped ok skipped warn skipped skipped", false},
		{"https://127.0.0.1/" + mark, "https://127.0.0.1/…", "ok ok ok ok skipped fail skipped warn skipped skipped", false},
		{"https://[::1]/" + mark, "https://[::1]/…", "ok ok ok ok skipped fail skipped warn skipped skipped", false},
		{"https://[::1]:9000/" + mark, "https://[::1]:9000/…", "ok ok ok ok skipped ok skipped warn skipped skipped", true},
		{"https://localhost/" + mark, "https://localhost/…", "ok ok ok ok skipped fail skipped warn skipped skipped", false},
		{"https://a.LOCALHOST./" + mark, "https://a.localhost/…", "ok ok warn ok skipped fail skipped warn skipped skipped", false},
		{"https://localhost/" + mark, "https://localhost/…", "ok ok ok ok skipped ok skipped warn skipped skipped", true},
		// Hosts that are addresses for some programs.
		{"https://2130706433/" + mark, "…", "ok ok fail ok skipped skipped skipped warn skipped skipped", true},
		{"https://0177.0.0.1/" + mark, "…", "ok ok fail ok skipped skipped skipped warn skipped skipped", true},
		{"https://127.1/" + mark, "…", "ok ok fail ok skipped skipped skipped warn skipped skipped", true},
		{"https://0x7F.0.0.0x1/" + mark, "…", "ok ok fail ok skipped skipped skipped warn skipped skipped", true},
		{"https://127.0.0.1./" + mark, "…", "ok ok fail ok skipped skipped skipped warn skipped skipped", true},
		{"https://１２７.０.０.１/" + mark, "…", "ok ok fail ok skipped skipped skipped warn skipped skipped", true},
		{"https://127。0。0。1/" + mark, "…", "ok ok fail ok skipped skipped skipped warn skipped skipped", true},
		{"https://[::ffff:127.0.0.1]/" + mark, "…", "ok ok fail ok skipped skipped skipped warn skipped skipped", true},
		{"https://[fe80::1%25eth0]/" + mark, "…", "ok ok fail ok skipped skipped skipped warn skipped skipped", true},
		// Names.
		{"https://münchen.example/" + mark, "https://xn--mnchen-3ya.example/…", "ok ok warn ok skipped skipped skipped warn skipped skipped", false},
		{"https://oapi.dingtаlk.com/" + mark, "https://oapi.xn--dingtlk-6fg.com/…", "ok ok warn ok skipped skipped skipped warn skipped skipped", false}, // Cyrillic а
		{"https://a..b/" + mark, "…", "ok ok fail ok skipped skipped skipped warn skipped skipped", false},
		{"https://-a.example/" + mark, "…", "ok ok fail ok skipped skipped skipped warn skipped skipped", false},
		{"https://" + strings.Repeat("a", 64) + ".example/" + mark, "…", "ok ok fail ok skipped skipped skipped warn skipped skipped", false},
		{"https://" + strings.Repeat("abcdefg.", 40) + "example/" + mark, "…", "ok ok fail ok skipped skipped skipped warn skipped skipped", false},
		{"https://robot_1:9000/" + mark, "https://robot_1:9000/…", "ok ok ok ok skipped skipped skipped warn skipped skipped", true},
		// Not even an address.
		{"", "…", nothing, false},
		{mark, "…", nothing, false},
		{"oapi.dingtalk.com/robot/send?access_token=" + mark, "…", nothing, false},
		{"//oapi.dingtalk.com/" + mark, "…", nothing, false},
		{"https:" + mark, "…", nothing, false},
		{"https://user:" + mark + "@oapi.dingtalk.com/", "…", nothing, false},
		{"https://" + mark + "@oapi.dingtalk.com/", "…", nothing, false},
		{"https://oapi.dingtalk.com/#" + mark, "…", nothing, false},
		{"https://oapi.dingtalk.com/#", "…", nothing, false},
		{`https://evil.example\@oapi.dingtalk.com/` + mark, "…", nothing, false},
		{"https://oapi.dingtalk.com/ " + mark, "…", nothing, false},
		{"https://oapi.dingtalk.com/\n" + mark, "…", nothing, false},
		{"https://oapi.dingtalk.com/\u202e" + mark, "…", nothing, false},
		{"https://oapi.dingtalk.com/\xff" + mark, "…", nothing, false},
		{"https://a:b:c/" + mark, "…", nothing, false},
		{"https://[::1/" + mark, "…", nothing, false},
		{"https://example.com/" + strings.Repeat("x", maxAddress), "…", nothing, false},
	} {
		policy := r
		if row.open {
			policy = open
		}
		report := policy.CheckForm(row.address)
		if got := verdicts(report); got != row.want || report.Address != row.masked {
			t.Errorf("%s is shown as %s:\n got  %s\n want %s", row.address, report.Address, got, row.want)
		}
		if !slices.Equal(codes(report), Codes()) {
			t.Errorf("%s: points %q", row.address, codes(report))
		}
		if masked := Mask(row.address); masked != row.masked {
			t.Errorf("%s: Mask is %s, the report says %s", row.address, masked, row.masked)
		}
		wantQuiet(t, policy, report)
	}
	if n := r.resolver.(*names).lookups() + open.resolver.(*names).lookups(); n != 0 {
		t.Errorf("%d look-ups", n)
	}
}

// wantQuiet makes sure the mark is nowhere, each failure has a remedy, and the verdict is the worst one.
func wantQuiet(t testing.TB, r *rig, report Report) {
	t.Helper()
	data, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	if shown := fmt.Sprintf("%s %+v %s", data, report, r.log); strings.Contains(shown, mark) {
		t.Errorf("the address is shown: %s", shown)
	}
	worst := OK
	for _, p := range report.Points {
		switch p.Verdict {
		case Fail:
			worst = Fail
		case Warn:
			if worst == OK {
				worst = Warn
			}
		}
		if p.Text == "" || (p.Remedy == "") != (p.Verdict == OK || p.Verdict == Skipped) {
			t.Errorf("%+v", p)
		}
	}
	if report.Verdict != worst || report.Failed() != (worst == Fail) {
		t.Errorf("verdict %s, want %s", report.Verdict, worst)
	}
}

func TestReportJSON(t *testing.T) {
	r := newRig(t, Settings{}, Options{})
	data, err := json.Marshal(r.CheckForm("x"))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"address":"…","product":"unknown","verdict":"fail","points":[{"code":"well_formed","verdict":"fail","text":"it does not begin with https:// and a host","remedy":"an address is like https://host/path?query"},{"code":"scheme","verdict":"skipped","text":"there is no address to look at"},`
	if !strings.HasPrefix(string(data), want) {
		t.Error(cmp.Diff(want, string(data)))
	}
}

// TestResolved: every address a name leads to counts, and the report does not name them.
func TestResolved(t *testing.T) {
	for _, row := range []struct {
		name     string
		settings Settings
		ips      []string
		ok       bool
	}{
		{"private beside public", Settings{}, to("93.184.216.34", "10.1.2.3"), false},
		{"public beside loopback", Settings{}, to("127.0.0.1", "93.184.216.34"), false},
		{"metadata", Settings{}, to("169.254.169.254"), false},
		{"metadata as IPv6", Settings{}, to("::ffff:169.254.169.254"), false},
		{"an allowed network", Settings{AllowCIDRs: []string{"10.0.0.0/8"}}, to("10.1.2.3"), true},
		{"an allowed host", Settings{AllowHosts: []string{"robot.example"}}, to("10.1.2.3", "fd12::1"), true},
		{"an allowed host on loopback", Settings{AllowHosts: []string{"robot.example"}}, to("127.0.0.1"), false},
		{"metadata, allowed", Settings{AllowHosts: []string{"robot.example"}, AllowCIDRs: []string{"100.64.0.0/10"}}, to("100.100.100.200"), false},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.settings.AllowHTTP = true // http: nothing is connected
			r := newRig(t, row.settings, Options{Resolver: resolver("robot.example", row.ips)})
			report := r.Check(t.Context(), "http://robot.example/"+mark, CodeArts{})
			p := point(t, report, AddressesPermitted)
			if (p.Verdict == OK) != row.ok || point(t, report, Resolves).Verdict != OK {
				t.Errorf("%+v", report)
			}
			shown := fmt.Sprintf("%+v", report)
			for _, ip := range row.ips {
				if strings.Contains(shown, ip) {
					t.Errorf("%s is told: %s", ip, shown)
				}
			}
			if logged := strings.Contains(r.log.String(), "address refused"); logged == row.ok {
				t.Errorf("log: %s", r.log)
			}
			wantQuiet(t, r, report)
		})
	}
}

func TestUnresolved(t *testing.T) {
	r := newRig(t, Settings{}, Options{Resolver: resolver("empty.example", to())})
	for _, host := range []string{"nowhere.example", "empty.example"} {
		report := r.Check(t.Context(), "https://"+host+"/"+mark, CodeArts{})
		if p := point(t, report, Resolves); p.Verdict != Fail || p.Text != "the name does not lead to any address" {
			t.Errorf("%+v", p)
		}
		if got := verdicts(report); got != "ok ok ok ok fail skipped skipped warn skipped skipped" {
			t.Error(got)
		}
		wantQuiet(t, r, report)
	}
	for err, want := range map[error]string{
		context.DeadlineExceeded:              "the name servers did not answer in time",
		errors.New("resolv.conf: " + mark):    "the name cannot be looked up",
		fmt.Errorf("%w", context.Canceled):    "the name cannot be looked up",
		fmt.Errorf("x: %w", errNoAddress):     "the name does not lead to any address",
		fmt.Errorf("%w", &url.Error{Op: "x"}): "the name cannot be looked up",
	} {
		if text, _ := resolveFailure(err); text != want {
			t.Errorf("%v: %s", err, text)
		}
	}
}

// signed is a server with a certificate of its own making.
func signed(t *testing.T, change func(*x509.Certificate)) (s *httptest.Server, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: testNow.AddDate(-1, 0, 0), NotAfter: testNow.AddDate(1, 0, 0), DNSNames: []string{"robot.example"},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	change(c)
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(made)
	s = httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = nil
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MaxVersion: tls.VersionTLS13}
	return s, roots
}

var testNow = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func TestTLS(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	for _, row := range []struct {
		name   string
		change func(*x509.Certificate)
		server func(*httptest.Server)
		trust  bool
		want   Verdict
		text   string
	}{
		{"good", func(*x509.Certificate) {}, nil, true, OK, "the certificate is good until 2027-11-21"},
		{"soon over", func(c *x509.Certificate) { c.NotAfter = testNow.Add(13 * 24 * time.Hour) }, nil, true, Warn, "the certificate is good until 2026-12-04 only"},
		{"not so soon", func(c *x509.Certificate) { c.NotAfter = testNow.Add(14 * 24 * time.Hour) }, nil, true, OK, "the certificate is good until 2026-12-05"},
		{"over", func(c *x509.Certificate) { c.NotAfter = testNow.Add(-time.Hour) }, nil, true, Fail, "the certificate has expired, or is not valid yet"},
		{"not yet", func(c *x509.Certificate) { c.NotBefore = testNow.Add(time.Hour) }, nil, true, Fail, "the certificate has expired, or is not valid yet"},
		{"of another", func(c *x509.Certificate) { c.DNSNames = []string{"other.example"} }, nil, true, Fail, "the certificate is for another host"},
		{"of a stranger", func(*x509.Certificate) {}, nil, false, Fail, "nobody this machine trusts vouches for the certificate"},
		{"not of a server", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, nil, true, Fail, "the certificate is not valid for a server"},
		{"old TLS", func(*x509.Certificate) {}, func(s *httptest.Server) { s.TLS.MaxVersion = tls.VersionTLS11 }, true, Fail, "no TLS handshake: the port speaks something else, or only TLS older than 1.2"},
		{"no TLS", nil, nil, true, Fail, "no TLS handshake: the port speaks something else, or only TLS older than 1.2"},
		{"nobody there", func(*x509.Certificate) {}, (*httptest.Server).Close, true, Fail, "no connection"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, roots := plain, x509.NewCertPool()
			if row.change != nil {
				s, roots = signed(t, row.change)
				address := s.Listener.Addr().String()
				if row.name == "nobody there" {
					_ = s.Listener.Close()
				} else {
					if row.server != nil {
						row.server(s)
					}
					s.StartTLS()
					t.Cleanup(s.Close)
				}
				s.URL = "https://" + address
			}
			if !row.trust {
				roots = x509.NewCertPool()
			}
			port := s.URL[strings.LastIndex(s.URL, ":")+1:]
			r := newRig(t, Settings{AllowCIDRs: []string{"127.0.0.0/8"}, AllowPorts: []string{port}}, Options{
				Resolver: resolver("robot.example", to("127.0.0.1")), RootCAs: roots, Now: func() time.Time { return testNow },
			})
			report := r.Check(t.Context(), "https://robot.example:"+port+"/"+mark, CodeArts{})
			if p := point(t, report, TLSValid); p.Verdict != row.want || p.Text != row.text {
				t.Errorf("%+v", p)
			}
			wantQuiet(t, r, report)
		})
	}
}

// verifier is CodeArts.
type verifier struct {
	err   error
	asked []string
}

func (v *verifier) CheckWebhookURL(_ context.Context, jobID, noticeType, address string) error {
	v.asked = append(v.asked, jobID+" "+noticeType+" "+address)
	return v.err
}

func TestCodeArts(t *testing.T) {
	good := "http://robot.example/" + mark
	for _, row := range []struct {
		name, address string
		job, notice   string
		err           error
		none          bool
		want          Verdict
		text          string
		asked         int
	}{
		{"not asked", good, "", "", nil, false, Skipped, "asked only with a job id and a notice type", 0},
		{"yes", good, "j", "FEISHU", nil, false, OK, "CodeArts takes it; it may have sent a message there", 1},
		{"no", good, "j", "FEISHU", errors.New("url is not allowed"), false, Fail, "CodeArts: url is not allowed", 1},
		{"no, repeating it", good, "j", "FEISHU", errors.New("bad url " + good), false, Fail, "CodeArts: it does not take the address", 1},
		{"half a question", good, "j", "", nil, false, Fail, "a job id and a notice type are needed", 0},
		{"the other half", good, "", "FEISHU", nil, false, Fail, "a job id and a notice type are needed", 0},
		{"nobody to ask", good, "j", "FEISHU", nil, true, Fail, "there is no connection to CodeArts to ask", 0},
		{"a bad address", "http://10.0.0.1/" + mark, "j", "FEISHU", nil, false, Skipped, "not asked about an address that fails before", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t, Settings{AllowHTTP: true}, Options{Resolver: resolver("robot.example", to("93.184.216.34"))})
			v := &verifier{err: row.err}
			build := CodeArts{JobID: row.job, NoticeType: row.notice}
			if !row.none {
				build.Verifier = v
			}
			report := r.Check(t.Context(), row.address, build)
			if p := point(t, report, CodeArtsVerdict); p.Verdict != row.want || p.Text != row.text || len(v.asked) != row.asked {
				t.Errorf("%+v, asked %q", p, v.asked)
			}
			if row.asked == 1 && v.asked[0] != "j FEISHU "+good {
				t.Errorf("asked %q", v.asked)
			}
			wantQuiet(t, r, report)
		})
	}
}
