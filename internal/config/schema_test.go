package config

import (
	"fmt"
	"strings"
	"testing"
)

// leaves are all settings with their variables, entries under the name A_B.
func leaves(s *setting, variable string, visit func(s *setting, variable string)) {
	for _, c := range s.children {
		name := variable + upperSnake(c.key)
		switch c.kind {
		case kindSection:
			leaves(c, name+"_", visit)
		case kindEntries:
			leaves(c, name+"_A_B_", visit)
		default:
			visit(c, name)
		}
	}
}

// TestVariables: every setting is found by its variable, by no other's, and none looks like a variable of Kubernetes.
func TestVariables(t *testing.T) {
	root := schema()
	seen := map[string]string{}
	leaves(root, variablePrefix, func(_ *setting, variable string) {
		path, ok := match(root, strings.TrimPrefix(variable, variablePrefix))
		if !ok {
			t.Errorf("%s is not found", variable)
		}
		if other, twice := seen[path]; twice {
			t.Errorf("%s and %s both mean %s", variable, other, path)
		}
		seen[path] = variable
		back := (&loader{}).variableOf(path)
		if back != variable {
			t.Errorf("%s means %s, whose variable is %s", variable, path, back)
		}
		if serviceLink(variable, "") || variable == fileVariable {
			t.Errorf("%s would be ignored", variable)
		}
	})
	if len(seen) < 40 {
		t.Errorf("only %d settings", len(seen))
	}
}

// TestTails: of two settings a variable could mean, the longer counts.
func TestTails(t *testing.T) {
	root := schema()
	for variable, want := range map[string]string{
		"CODEARTS_A_TOKEN":                   "codearts.a.token",
		"CODEARTS_A_SECURITY_TOKEN":          "codearts.a.security_token",
		"CODEARTS_A_SECURITY_SECURITY_TOKEN": "codearts.a-security.security_token",
		"CODEARTS_SECURITY_TOKEN":            "codearts.security.token",
	} {
		if got, ok := match(root, variable); !ok || got != want {
			t.Errorf("%s means %s, want %s", variable, got, want)
		}
	}
}

// TestDeclarations: every setting is documented, and its limits can be read.
func TestDeclarations(t *testing.T) {
	leaves(schema(), variablePrefix, func(s *setting, variable string) {
		if s.key == "" || s.doc == "" {
			t.Errorf("%s has no key or no doc", variable)
		}
		for _, limit := range []string{s.minimum, s.maximum} {
			if _, ok := parseNumber(s.kind, limit); limit != "" && !ok {
				t.Errorf("%s: limit %q is no %s", variable, limit, s.kind.want())
			}
		}
	})
}

func TestParseBytes(t *testing.T) {
	tests := []struct {
		text string
		want Bytes
		ok   bool
	}{
		{"0", 0, true},
		{"4096", 4096, true},
		{"768KiB", 768 << 10, true},
		{"768 KiB", 768 << 10, true},
		{"2GiB", 2 << 30, true},
		{"1MB", 1_000_000, true},
		{"3kB", 3000, true},
		{"7B", 7, true},
		{"", 0, false},
		{"KiB", 0, false},
		{"-1", 0, false},
		{"+1", 0, false},
		{"1.5MiB", 0, false},
		{"9223372036854775807", 1<<63 - 1, true},
		{"9223372036854775808", 0, false},
		{"8388608TiB", 0, false},
		{"1 mib", 0, false},
	}
	for _, tt := range tests {
		got, ok := parseBytes(tt.text)
		if got != tt.want || ok != tt.ok {
			t.Errorf("%q: got %d, %v, want %d, %v", tt.text, got, ok, tt.want, tt.ok)
		}
		if again, ok2 := parseBytes(got.String()); ok && (!ok2 || again != got) {
			t.Errorf("%q: %s reads as %d", tt.text, got, again)
		}
	}
}

func TestDistance(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"url", "urk", 1},
		{"url", "ulr", 1},
		{"listen", "lisen", 1},
		{"token", "", 5},
		{strings.Repeat("x", 200), "x", 100},
	}
	for _, tt := range tests {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("%s, %s: got %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

// FuzzLoad reads any file: it never panics, gives a Config or Problems and not both, and every problem has a place in the file.
func FuzzLoad(f *testing.F) {
	f.Add("")
	f.Add("nats: { url: nats://127.0.0.1:4222 }\nlog:\n")
	f.Add("targets: { ops: { kind: dingtalk, url: { env: U }, secret: { env: S } } }")
	f.Add("sources: { a: { secrets: [{ env: S }, s3cr3t], id_from: body }, a: b, ? [x] : y }")
	f.Add("a: &a [*a]\n<<: *a\n---\nb: !!binary x")
	f.Add("worker: { retry: { first: 1d }, rules: [1, true, ~, {}], concurrency: { run: 0x10 } }")
	f.Add("sources: { a: { codearts_builds: { every: 10s, project_id: ~ }, sends: [x], id_from: y }, b: { codearts_builds: } }")
	f.Add("codearts: { default: { commit_url: '{web_url}/{x}', timeout: !!int 3 } }")
	f.Add("\ufeffnats: |\n  x\n\ttab: [")
	env := map[string]string{"U": "https://example.com/s3cr3t", "S": "s3cr3t"}
	f.Fuzz(func(t *testing.T, file string) {
		cfg, err := load("", []byte(file), env, func(string) bool { return true })
		if (cfg == nil) == (err == nil) {
			t.Fatalf("got %v and %v", cfg, err)
		}
		if strings.Contains(fmt.Sprintf("%+v %#v", cfg, cfg), "s3cr3t") && !strings.Contains(file, "s3cr3t") {
			t.Errorf("a secret shows: %+v", cfg)
		}
		problems, _ := err.(Problems) //nolint:errorlint // it is never wrapped, and that is part of the test
		if err != nil && len(problems) == 0 {
			t.Fatalf("an error without a problem: %v", err)
		}
		lines := strings.Count(file, "\n") + strings.Count(file, "\r") + strings.Count(file, "\u0085") + strings.Count(file, "\u2028") + strings.Count(file, "\u2029") + 1
		for _, p := range problems {
			if p.Line < 1 || p.Line > lines+1 || p.Col < 1 {
				t.Errorf("%v is outside the file of %d lines", p, lines)
			}
		}
	})
}
