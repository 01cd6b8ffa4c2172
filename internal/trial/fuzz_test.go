package trial

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"github.com/millrace/millrace/pkg/rules"
)

// fuzzedRules have the names of those in testdata, and are quick: nothing waits for a result.
const fuzzedRules = `rules:
  - name: record
    on: push
    fetch:
      build: { build_of_commit: { commit: "${{ event.after }}" }, until: facts.build.finished, timeout: 2m }
    when: facts.build.outcome == "failed"
    do:
      - { id: note, commit: { repo_id: 1, branch: main, message: m, actions: [{ action: create, file_path: a, content: b }] } }
      - { notify: { to: team, title: "${{ event.branch }}", text: "${{ facts.build.repo_id }}" } }
  - name: files
    on: push
    fetch:
      all: { for_each: { in: '["normal", "close"]' }, packages: { status: "${{ item }}" } }
      owners: { for_each: { in: '["a", "b", "c"]' }, file: { file_path: "${{ item }}" } }
    for_each: { in: facts.all, key: item.id }
    do: [{ notify: { to: team, title: "${{ item.days }}", text: "${{ facts.owners.size() }}" } }]
  - name: daily
    on: { schedule: { every: 24h } }
    do: [{ alert: { key: k, phase: p, countdown: 3, at: [3], to: team, title: t, text: t } }]
`

// FuzzRead reads anything as a test file: it is refused with places in it, or runs and can be reported, and says the same again.
func FuzzRead(f *testing.F) {
	opened := map[string][]byte{}
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		a := readArchive(f, path)
		for _, test := range a.tests {
			f.Add(test.Data)
		}
		for _, file := range a.Files {
			opened[file.Name] = file.Data
		}
	}
	rs, problems := rules.Compile([]rules.File{{Name: "r.yaml", Data: []byte(fuzzedRules)}}, testCatalogue())
	if problems != nil {
		f.Fatal(problems)
	}
	open := func(name string, _ int64) ([]byte, error) {
		if data, ok := opened[name]; ok {
			return data, nil
		}
		return nil, errors.New("there is none")
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		lines := 1 + bytes.Count(data, []byte("\n")) + bytes.Count(data, []byte("\r")) + bytes.Count(data, []byte("\u2028")) +
			bytes.Count(data, []byte("\u2029")) + bytes.Count(data, []byte("\u0085"))
		file := []rules.File{{Name: "r_test.yaml", Data: data}}
		s, problems := Read(rs, file, open)
		for _, p := range problems {
			if p.File != "r_test.yaml" || p.Line < 1 || p.Line > lines || p.Col < 1 || p.Message == "" || p.Kind == "" {
				t.Errorf("problem %+v of %d lines", p, lines)
			}
		}
		if (s == nil) != problems.HasErrors() {
			t.Fatalf("suite %v, problems %v", s, problems)
		}
		if s == nil {
			return
		}
		first, second := s.Run(nil), s.Run(nil)
		var a, b bytes.Buffer
		for _, r := range []struct {
			report *Report
			to     *bytes.Buffer
		}{{first, &a}, {second, &b}} {
			r.report.Render(r.to, true)
			r.report.Coverage.Render(r.to)
			if err := r.report.WriteJUnit(r.to); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Errorf("the same tests, two reports:\n%s\n%s", &a, &b)
		}
		if len(first.Tests) != s.Tests() || first.Passed+first.Failed != s.Tests() {
			t.Errorf("%d tests, %d passed, %d failed", s.Tests(), first.Passed, first.Failed)
		}
	})
}
