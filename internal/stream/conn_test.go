package stream

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/internal/stream/streamtest"
)

func TestConnectRefuses(t *testing.T) {
	b := streamtest.Server(t)
	guarded := streamtest.Server(t, streamtest.User("worker", "open sesame"))
	bare := streamtest.Server(t, streamtest.WithoutJetStream())
	const gone = "nats://127.0.0.1:1" // a port that no system gives away
	nowhere := filepath.Join(t.TempDir(), "absent.creds")
	tests := map[string]struct {
		cfg  Config
		want string
	}{
		"nobody there":  {Config{URLs: []string{gone}, Token: "open sesame"}, "cannot connect to the broker at " + gone + ": nats: no servers available for connection"},
		"wrong secret":  {Config{URLs: []string{guarded.URL()}, User: "worker", Password: "open says me"}, "cannot connect to the broker at " + guarded.URL() + ": nats: Authorization Violation"},
		"no file":       {Config{URLs: []string{b.URL()}, CredentialsFile: nowhere}, "absent.creds"},
		"no CA":         {Config{URLs: []string{b.URL()}, CAFile: nowhere}, "absent.creds"},
		"half a pair":   {Config{URLs: []string{b.URL()}, CertFile: "c.pem"}, "needs both"},
		"secret in URL": {Config{URLs: []string{"nats://worker:open@sesame@h:4222"}}, "broker URL nats://h:4222 holds a user or password"},
		"not a URL":     {Config{URLs: []string{b.URL(), "worker:open@sesame h"}}, "broker URL number 2 cannot be read"},
		"tiny window":   {Config{URLs: []string{b.URL()}, DuplicateWindow: time.Millisecond}, "duplicate window 1ms is shorter than the 100ms"},
		"old server": {
			Config{URLs: []string{b.URL()}, serverVersion: "2.12.4"},
			"it is nats-server 2.12.4, and Millrace needs 2.14 or newer, whose schedules wake what is parked and start what is due; upgrade the server",
		},
		"no JetStream": {Config{URLs: []string{bare.URL()}}, "JetStream is not enabled for this account"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := Connect(t.Context(), tt.cfg)
			if err == nil {
				c.Close()
				t.Fatal("connected")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want %q in it", err, tt.want)
			}
			for _, secret := range []string{"sesame", "says me"} {
				if strings.Contains(fmt.Sprintf("%v %+v", err, err), secret) {
					t.Errorf("error shows a secret: %v", err)
				}
			}
		})
	}
}

func TestConnectWithAPassword(t *testing.T) {
	b := streamtest.Server(t, streamtest.User("worker", "open sesame"))
	c, _ := open(t, b, func(cfg *Config) { cfg.User, cfg.Password = "worker", "open sesame" })
	if !c.Connected() {
		t.Error("not connected")
	}
	if text := fmt.Sprintf("%+v", struct{ hidden Config }{c.cfg}); strings.Contains(text, "sesame") {
		t.Errorf("a connection that is printed shows %s", text)
	}
}

func TestVersions(t *testing.T) {
	for version, want := range map[string]bool{
		"2.14.0": true, "2.15.2": true, "v2.14.0": true, "2.14.0-RC.1": true, "3.0.0": true, "2.14": true,
		"2.13.9": false, "1.99.0": false, "": false, "2": false, "x.y": false, "2.x": false,
	} {
		if got := newEnough(version); got != want {
			t.Errorf("newEnough(%q) = %t", version, got)
		}
	}
}

func TestConfigShowsNoSecret(t *testing.T) {
	cfg := Config{
		URLs: []string{"nats://worker:marker1@h:4222"}, User: "worker", Password: "marker2", Token: "marker3",
		Log: zerolog.New(os.Stderr),
	}
	json, err := cfg.Password.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		fmt.Sprint(cfg), fmt.Sprintf("%+v", cfg), fmt.Sprintf("%#v", cfg), fmt.Sprintf("%+v", &cfg),
		fmt.Sprintf("%s %q %x %d", cfg.Password, cfg.Password, cfg.Password, cfg.Token), string(json),
		fmt.Sprintf("%+v", struct{ P Secret }{cfg.Password}),
	} {
		if strings.Contains(text, "marker") || strings.Contains(text, "6d61726b6572") {
			t.Errorf("a secret in %s", text)
		}
	}
	if got := fmt.Sprint(cfg); got != "broker nats://h:4222, name , replicas 0" {
		t.Errorf("config shows as %q", got)
	}
}

func TestReconnectsAfterARestart(t *testing.T) {
	b := streamtest.Server(t)
	b.Front()
	c, j := open(t, b)
	b.Restart()
	eventually(t, "it works again", func() bool { return c.Ensure(t.Context()) == nil })
	eventually(t, "the log says so", func() bool { return len(j.with("broker reconnected")) > 0 })
}
