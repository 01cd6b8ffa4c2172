package millrace_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/pkg/rules"
)

// TestSourcesDocument loads the configuration in docs/sources.md, and makes sure that the warning it shows is the one that is given.
func TestSourcesDocument(t *testing.T) {
	const file = "docs/sources.md"
	var cfg *config.Config
	warned := false
	for _, b := range blocks(t, file) {
		switch {
		case b.info == "yaml":
			folder := t.TempDir()
			for _, name := range []string{"shop.secret", "notices.secret", "codearts-password"} {
				writeFile(t, filepath.Join(folder, name), "s3cret")
			}
			path := filepath.Join(folder, "millrace.yaml")
			writeFile(t, path, b.text)
			var err error
			if cfg, err = app.Load(path, nil); err != nil {
				t.Fatalf("%s: %v", b.at(), err)
			}
			if problems := onFailedBuild(app.Catalogue(cfg)); len(problems) > 0 {
				t.Errorf("%s: %v", b.at(), problems)
			}
		case strings.Contains(b.text, "[source]"):
			if got := onFailedBuild(app.Catalogue(&config.Config{})).Error() + "\n"; got != b.text {
				t.Errorf("%s: it says\n%s", b.at(), got)
			}
			warned = true
		}
	}
	if cfg == nil || len(cfg.Sources) != 3 || !cfg.Sources["builds"].Polls() || !warned {
		t.Errorf("%s has no configuration, or no warning", file)
	}
	if engine.Catalogue(nil, nil).SentTypes != nil {
		t.Error("without a configuration somebody knows what is sent")
	}
}

// onFailedBuild are the problems of a rule on failed builds, but those of its target.
func onFailedBuild(catalogue *rules.Catalogue) rules.Problems {
	catalogue.Targets = nil
	_, problems := rules.Compile([]rules.File{{Name: "rules.yaml", Data: []byte(`rules:
  - name: failed
    on: build.failed
    do: [{ notify: { to: team, title: t, text: x } }]
`)}}, catalogue)
	return problems
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
