package egress

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// FuzzAddress reads any address: it never panics, every point is there, and nothing but scheme, host and port is shown. What passes is a
// host that no program could take for another.
func FuzzAddress(f *testing.F) {
	for _, seed := range []string{
		"https://oapi.dingtalk.com/robot/send?access_token=x", "https://[::ffff:7f00:1]:443/x", "https://0x7f.1/", "https://a%31.example/",
		"https://xn--/x", "https://a@b@c/", "http://[fe80::1%25eth0]/", "https://ⓔxample。com./", "https:\\\\x", "https://127.0.0.1:0443", "//x", "https://xn--80ak6aa92e.com",
	} {
		f.Add(seed, "secret")
	}
	p, err := New(Settings{AllowHTTP: true, AllowPorts: []string{"1-65535"}}, Options{Resolver: &names{}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text, secret string) {
		report := p.CheckForm(text)
		if !slices.Equal(codes(report), Codes()) {
			t.Fatalf("points %q", codes(report))
		}
		if Mask(text) != report.Address {
			t.Fatalf("shown as %q and as %q", Mask(text), report.Address)
		}
		if !report.Failed() {
			checkPassed(t, text)
		}
		// A secret behind the host shows nowhere.
		hidden := "/" + "marker" + strings.Map(func(r rune) rune {
			if r > ' ' && r < 0x7f && !strings.ContainsRune(`\#`, r) {
				return r
			}
			return -1
		}, secret)
		full := p.CheckForm(strings.TrimRight(text, "/?") + hidden)
		if strings.Contains(fmt.Sprintf("%+v", full), "marker") && !strings.Contains(strings.ToLower(text), "marker") && report.Address != ellipsis {
			t.Fatalf("%q shows in %+v", hidden, full)
		}
	})
}

func checkPassed(t *testing.T, text string) {
	u, err := url.Parse(text)
	if err != nil {
		t.Fatalf("%q passed and is none: %v", text, err)
	}
	if u.User != nil || u.Fragment != "" || (u.Scheme != "https" && u.Scheme != "http") {
		t.Fatalf("%q passed", text)
	}
	h, bad := parseHost(u.Hostname())
	if bad != nil {
		t.Fatalf("%q passed: %s", text, bad.text)
	}
	again, bad := parseHost(h.text)
	if bad != nil || again.text != h.text {
		t.Fatalf("%q is %q, and that is %q", text, h.text, again.text)
	}
	if ip, err := netip.ParseAddr(h.text); err == nil && (ip != h.ip || ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast()) {
		t.Fatalf("%q passed as %s", text, ip)
	}
}
