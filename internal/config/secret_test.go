package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/internal/config"
)

const marker = "m4rk3r-never-seen"

// TestNothingLeaks prints a Config with a marker in every secret in every way there is.
func TestNothingLeaks(t *testing.T) {
	cfg, err := config.Load("", []string{
		"MILLRACE_NATS_TOKEN=" + marker,
		"MILLRACE_SOURCES_REPO_SECRETS=" + marker + ",old-" + marker,
		"MILLRACE_CODEARTS_DEFAULT_REGION=cn-north-4",
		"MILLRACE_CODEARTS_DEFAULT_USER=ci", "MILLRACE_CODEARTS_DEFAULT_DOMAIN=acme", "MILLRACE_CODEARTS_DEFAULT_PASSWORD=" + marker,
		"MILLRACE_CODEARTS_OTHER_REGION=cn-north-4", "MILLRACE_CODEARTS_OTHER_TOKEN=" + marker,
		"MILLRACE_TARGETS_OPS_KIND=webhook", "MILLRACE_TARGETS_OPS_URL=https://example.com/" + marker, "MILLRACE_TARGETS_OPS_SECRET=" + marker,
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.Targets["ops"].URL.Reveal(); got != "https://example.com/"+marker {
		t.Fatalf("the marker is not in the configuration: %q", got)
	}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t", "%p"} {
		fmt.Fprintf(&out, verb+"\n", cfg)
		fmt.Fprintf(&out, verb+"\n", *cfg)
		fmt.Fprintf(&out, verb+"\n", cfg.NATS.Token)
		fmt.Fprintf(&out, verb+"\n", struct{ hidden config.Secret }{cfg.NATS.Token})
		fmt.Fprintf(&out, verb+"\n", map[config.Secret]string{cfg.NATS.Token: "key"})
	}
	if err := json.NewEncoder(&out).Encode(cfg); err != nil {
		t.Error(err)
	}
	if err := yaml.NewEncoder(&out).Encode(cfg); err != nil {
		t.Error(err)
	}
	log := zerolog.New(&out)
	log.Info().Interface("config", cfg).Any("token", cfg.NATS.Token).Stringer("token", cfg.NATS.Token).Msg("configuration")
	fmt.Fprintln(&out, fmt.Errorf("secret: %v", cfg.NATS.Token))
	if strings.Contains(out.String(), marker) {
		t.Errorf("the marker shows in\n%s", out.String())
	}
	if strings.Contains(out.String(), fmt.Sprintf("%x", marker)) {
		t.Error("the marker shows in hexadecimal")
	}
	if !strings.Contains(out.String(), "[redacted]") {
		t.Error("nothing says that something is left out")
	}
}

func TestSecret(t *testing.T) {
	if s := config.NewSecret(""); s.IsSet() || s.String() != "" || s.Reveal() != "" || !s.Equal(config.Secret{}) {
		t.Errorf("the empty secret is set: %v", s)
	}
	a, b := config.NewSecret("a"), config.NewSecret("b")
	if a.Equal(b) || a.Equal(config.Secret{}) || !a.Equal(config.NewSecret("a")) {
		t.Error("Equal is wrong")
	}
}
