package events

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// bodies reads every body under testdata. They are written by hand in the shape that
// CodeArts Repo and its relatives send; none was captured.
func bodies(t testing.TB) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("testdata/bodies/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no bodies: %v", err)
	}
	all := make(map[string][]byte, len(paths))
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(path), ".json")] = data
	}
	return all
}

// reading is everything the package says of one body.
type reading struct {
	Scanned     Scanned           `json:"scanned"`
	HeadID      string            `json:"head_id"`
	HeadMessage string            `json:"head_message"`
	Flat        map[string]string `json:"flat"`
	View        *View             `json:"view"`
}

func read(t *testing.T, name string, body []byte) reading {
	t.Helper()
	hint := ""
	if name == "github_push" {
		hint = "push"
	}
	scanned, err := Scan(body, hint)
	if err != nil {
		t.Fatal(err)
	}
	v, err := Decode(&Event{
		ID: "repo/" + name, Source: "repo", Type: scanned.Type, Repository: scanned.Repository,
		Time: time.Date(2026, 11, 20, 9, 43, 0, 5000, time.UTC), Body: body,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := reading{Scanned: scanned, View: v, Flat: map[string]string{}}
	r.HeadID, r.HeadMessage = v.Head()
	flat := v.Flat()
	for f, value := range flat.All() {
		r.Flat[f.String()] = value
	}
	if bytes.Equal(v.Raw, body) {
		v.Raw = json.RawMessage(`"as it came"`)
	}
	return r
}

func TestBodies(t *testing.T) {
	for name, body := range bodies(t) {
		t.Run(name, func(t *testing.T) {
			got, err := json.MarshalIndent(read(t, name, body), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "read", name+".json")
			if *update {
				if err := os.WriteFile(golden, append(got, '\n'), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.TrimSpace(string(want)), string(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", golden, diff)
			}
		})
	}
}
