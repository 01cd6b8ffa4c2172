package stream

import (
	"errors"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/stream/streamtest"
)

// unreachable is a port that no system gives away.
const unreachable = "nats://127.0.0.1:1"

// TestConnectTakesTheNext: a server that is away, or up without being usable, does not keep others from being used; and each of those that
// were given is tried when the connection is lost.
func TestConnectTakesTheNext(t *testing.T) {
	bare := streamtest.Server(t, streamtest.WithoutJetStream())
	guarded := streamtest.Server(t, streamtest.Token("open sesame"))
	good := streamtest.Server(t)
	for range 8 { // the order is one of chance
		c, _ := dial(t, good, func(cfg *Config) { cfg.URLs = []string{bare.URL(), unreachable, guarded.URL(), good.URL()} })
		if got := c.nc.ConnectedUrl(); got != good.URL() {
			t.Errorf("connected to %s, want %s", got, good.URL())
		}
		if n := len(c.nc.Servers()); n != 4 {
			t.Errorf("%d servers are known, want 4", n)
		}
	}
}

func TestReconnectsElsewhere(t *testing.T) {
	one, two := streamtest.Server(t), streamtest.Server(t)
	c, _ := dial(t, one, func(cfg *Config) { cfg.URLs = []string{one.URL(), two.URL()} })
	first := one
	if c.nc.ConnectedUrl() == two.URL() {
		first = two
	}
	first.Stop()
	eventually(t, "it is connected to the other", func() bool { return c.Connected() && c.nc.ConnectedUrl() != first.URL() })
}

// TestWhatTimeMends: an error of connecting tells whether it makes sense to wait, and each server's own fault.
func TestWhatTimeMends(t *testing.T) {
	bare := streamtest.Server(t, streamtest.WithoutJetStream()).URL()
	guarded := streamtest.Server(t, streamtest.Token("open sesame")).URL()
	plain := streamtest.Server(t).URL()
	for name, tt := range map[string]struct {
		cfg    Config
		mends  bool
		remedy string
	}{
		"away":                       {Config{URLs: []string{unreachable}}, true, ""},
		"no JetStream":               {Config{URLs: []string{bare}}, false, "start the server with --jetstream"},
		"wrong token":                {Config{URLs: []string{guarded}, Token: "open says me"}, false, "give it the credentials file or the token"},
		"no credentials":             {Config{URLs: []string{guarded}}, false, "give it the credentials file or the token"},
		"no such file":               {Config{URLs: []string{plain}, CredentialsFile: t.TempDir() + "/absent.creds"}, false, "see that the file is there"},
		"no TLS there":               {Config{URLs: []string{strings.Replace(plain, "nats:", "tls:", 1)}}, false, "write the address as tls://"},
		"too old":                    {Config{URLs: []string{plain}, serverVersion: "2.12.4"}, false, "upgrade the server"},
		"one away, one without":      {Config{URLs: []string{unreachable, bare}}, true, "start the server with --jetstream"},
		"one closed and one without": {Config{URLs: []string{guarded, bare}}, false, "start the server with --jetstream"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Connect(t.Context(), tt.cfg)
			if err == nil {
				c.Close()
				t.Fatal("connected")
			}
			var e interface{ Retryable() bool }
			if mends := !errors.As(err, &e) || e.Retryable(); mends != tt.mends {
				t.Errorf("time mends it: %t, want %t: %v", mends, tt.mends, err)
			}
			if !strings.Contains(err.Error(), tt.remedy) {
				t.Errorf("%v, want %q in it", err, tt.remedy)
			}
			for _, url := range tt.cfg.URLs {
				if _, host, _ := strings.Cut(url, "//"); !strings.Contains(err.Error(), host) && tt.cfg.CredentialsFile == "" {
					t.Errorf("%v does not name %s", err, url)
				}
			}
		})
	}
}
