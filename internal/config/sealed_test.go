package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLoadSealed reads names without any secret at hand, and still finds what is wrong with the rest.
func TestLoadSealed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "millrace.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := `
sources: { shop: { verify: standard_webhooks, secrets: [{ env: NOT_SET }] } }
codearts: { default: { region: cn-north-4, user: u, domain: d, password: { file: not-there } } }
targets:
  team: { kind: dingtalk, url: { env: NOT_SET_EITHER } }
  bus: { kind: webhook, url: { env: NOT_SET }, secret: { env: NOT_SET } }
`
	write(text)
	if _, err := Load(file, nil); err == nil {
		t.Error("Load opens what is not there")
	}
	cfg, err := LoadSealed(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Targets) != 2 || len(cfg.CodeArts) != 1 {
		t.Errorf("got %+v", cfg)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(file), "not-there"), []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if cfg, err = LoadSection(file, nil, "codearts.default"); err != nil || cfg.CodeArts["default"].Password.Reveal() != "s3cret" || cfg.Targets["team"].URL.Reveal() == "" {
		t.Errorf("the secret of one section: %v, %v", cfg, err)
	}
	if _, err := LoadSection(file, nil, "targets.bus"); err == nil || !strings.Contains(err.Error(), "NOT_SET") || strings.Contains(err.Error(), "EITHER") {
		t.Errorf("another section: %v", err)
	}
	write(text + "tragets: {}\n")
	if _, err := LoadSealed(file, nil); err == nil || !strings.Contains(err.Error(), `"targets"`) {
		t.Errorf("a misspelt section gives %v", err)
	}
	write(strings.Replace(text, "{ env: NOT_SET_EITHER }", "https://robot.example.com/send", 1))
	if _, err := LoadSealed(file, nil); err == nil || !strings.Contains(err.Error(), "must not be written into this file") {
		t.Errorf("a plain secret gives %v", err)
	}
}

// TestCredential reads what systemd hands to a service, by its name alone.
func TestCredential(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "millrace.yaml")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("shop-token", "s3cret\n")
	write("millrace.yaml", "sources: { shop: { secrets: [{ credential: shop-token }] } }\n")
	cfg, err := Load(file, []string{"CREDENTIALS_DIRECTORY=" + folder})
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.Sources["shop"].Secrets[0].Reveal(); got != "s3cret" {
		t.Errorf("got %q", got)
	}
	if _, err := Load(file, nil); err == nil || !strings.Contains(err.Error(), "LoadCredential=shop-token:PATH") {
		t.Errorf("without systemd: %v", err)
	}
	if _, err := LoadSealed(file, nil); err != nil {
		t.Errorf("sealed: %v", err)
	}
	for _, name := range []string{"../shop-token", "..", "a/b", "other"} {
		write("millrace.yaml", "sources: { shop: { secrets: [{ credential: "+name+" }] } }\n")
		if _, err := Load(file, []string{"CREDENTIALS_DIRECTORY=" + folder}); err == nil {
			t.Errorf("%s is read", name)
		}
	}
}
