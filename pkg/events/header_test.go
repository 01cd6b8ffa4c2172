package events

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestHeader(t *testing.T) {
	e := &Event{
		ID: `repo/37_5d "50%" é`, Source: "repo", Type: "merge_request.open", Repository: "团队/order service",
		Time: time.Date(2026, 11, 20, 17, 43, 0, 5000, time.FixedZone("CST", 8*3600)), Body: []byte("{}"),
	}
	want := map[string]string{
		"ce-specversion": "1.0",
		"ce-id":          "repo/37_5d%20%2250%25%22%20%C3%A9",
		"ce-source":      "repo",
		"ce-type":        "merge_request.open",
		"ce-time":        "2026-11-20T09:43:00.000005Z",
		"ce-subject":     "%E5%9B%A2%E9%98%9F/order%20service",
		"content-type":   "application/json",
	}
	h := e.Header()
	if diff := cmp.Diff(want, h); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	got, err := FromHeader(func(name string) string { return h[name] }, e.Body)
	if err != nil {
		t.Fatal(err)
	}
	e.Time = e.Time.UTC()
	if diff := cmp.Diff(e, got); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	if _, ok := (&Event{}).Header()["ce-subject"]; ok {
		t.Error("a subject without a repository")
	}
}

func TestFromHeaderRefuses(t *testing.T) {
	good := (&Event{ID: "repo/1", Source: "repo", Type: "push", Time: time.Unix(0, 0)}).Header()
	rows := []struct{ name, value, want string }{
		{"ce-specversion", "", `ce-specversion is "", not "1.0"`},
		{"ce-specversion", "0.3", "ce-specversion"},
		{"ce-id", "", "ce-id is missing"},
		{"ce-source", "Not A Source", "ce-source"},
		{"ce-type", "a.b.c", "ce-type"},
		{"ce-type", strings.Repeat("A", 1000), "…"},
		{"ce-time", "yesterday", "ce-time is not a time"},
	}
	for _, row := range rows {
		_, err := FromHeader(func(name string) string {
			if name == row.name {
				return row.value
			}
			return good[name]
		}, nil)
		if err == nil || !strings.Contains(err.Error(), row.want) || len(err.Error()) > 200 {
			t.Errorf("%s %q: got %v, want %q in it", row.name, row.value, err, row.want)
		}
	}
}

func FuzzFromHeader(f *testing.F) {
	f.Add("1.0", "repo/1", "repo", "push", "2026-11-20T09:43:00Z", "shop/orders")
	f.Add("1.0", "repo/%", "repo", "push", "2026-11-20T09:43:00.1+08:00", "%E5%9B%A2%zz%4")
	f.Add("1.0", "repo/%ff%0a", "repo", "unknown.x", "0001-01-01T00:00:00Z", "\x00")
	f.Fuzz(func(t *testing.T, spec, id, source, typ, at, subject string) {
		in := map[string]string{
			"ce-specversion": spec, "ce-id": id, "ce-source": source, "ce-type": typ, "ce-time": at, "ce-subject": subject,
		}
		first, err := FromHeader(func(name string) string { return in[name] }, []byte("{}"))
		if err != nil {
			return
		}
		out := first.Header()
		for name, v := range out {
			for i := range len(v) {
				if v[i] < ' ' || v[i] > '~' {
					t.Fatalf("%s: byte %#x in a header", name, v[i])
				}
			}
		}
		second, err := FromHeader(func(name string) string { return out[name] }, []byte("{}"))
		if err != nil {
			// Go writes years it would not read back.
			if y := first.Time.Year(); y < 0 || y > 9999 {
				return
			}
			t.Fatal(err)
		}
		if utf8.ValidString(id) && utf8.ValidString(subject) {
			if diff := cmp.Diff(first, second); diff != "" {
				t.Fatalf("not the same again:\n%s", diff)
			}
		}
	})
}
