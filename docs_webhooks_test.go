package millrace_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/egress"
)

// TestWebhooksDocument loads the configuration in docs/webhooks.md, and makes sure that every point of a report is explained there.
func TestWebhooksDocument(t *testing.T) {
	const file = "docs/webhooks.md"
	loaded := 0
	for _, b := range blocks(t, file) {
		if b.info != "yaml" {
			continue
		}
		path := filepath.Join(t.TempDir(), "millrace.yaml")
		if err := os.WriteFile(path, []byte(b.text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := app.Load(path, nil)
		if err != nil || len(cfg.Egress.AllowHosts) == 0 {
			t.Errorf("%s: %v", b.at(), err)
		}
		loaded++
	}
	if loaded == 0 {
		t.Error("no configuration was loaded")
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range egress.Codes() {
		if !strings.Contains(string(data), "| `"+code+"` |") {
			t.Errorf("%s does not explain %s", file, code)
		}
	}
}
