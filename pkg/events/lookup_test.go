package events

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestLookup(t *testing.T) {
	body := []byte(`{"a":"x","n":-1.50e3,"t":true,"f":false,"z":null,"e":"",
		"o":{"iid":37,"p":{"q":"deep\n"},"o":1},"l":[{"a":1}],"dot.ted":1,"o2":{"x":1},"o2":{"y":2},"o3":{"x":1},"o3":3,"esc\u0061pe":"\u4e2d"}`)
	rows := []struct {
		path, want string
		ok         bool
	}{
		{"a", "x", true},
		{"n", "-1.50e3", true},
		{"t", "true", true},
		{"f", "false", true},
		{"z", "", false},
		{"e", "", true},
		{"o", "", false},
		{"o.iid", "37", true},
		{"o.p.q", "deep\n", true},
		{"o.p", "", false},
		{"o.none", "", false},
		{"a.b", "", false},
		{"l", "", false},
		{"l.0", "", false},
		{"l.a", "", false},
		{"dot.ted", "", false},
		{"o2.x", "", false}, // the last of equal names counts, whole
		{"o2.y", "2", true},
		{"o3.x", "", false},
		{"o3", "3", true},
		{"escape", "中", true},
		{"", "", false},
		{".", "", false},
		{"o..iid", "", false},
	}
	for _, row := range rows {
		got, ok := Lookup(body, row.path)
		if got != row.want || ok != row.ok {
			t.Errorf("Lookup(%q) = %q, %v; want %q, %v", row.path, got, ok, row.want, row.ok)
		}
	}
	if _, ok := Lookup([]byte(strings.Repeat(`{"a":`, 1000)), strings.Repeat("a.", 1000)+"a"); ok {
		t.Error("found something far down")
	}
}

func FuzzLookup(f *testing.F) {
	f.Add([]byte(`{"a":{"b":1,"b":"\ud800x"},"a":{"b":true}}`), "a.b")
	f.Add([]byte(`{"":{"":null}}`), ".")
	f.Add([]byte(`{"a":[1]}`), "a.0")
	for _, body := range bodies(f) {
		f.Add(body, "object_attributes.iid")
	}
	f.Fuzz(func(t *testing.T, body []byte, path string) {
		got, ok := Lookup(body, path)
		if _, err := Scan(body, ""); err != nil {
			if ok {
				t.Fatalf("found %q in what is no JSON object", got)
			}
			return
		}
		var root node
		d := json.NewDecoder(strings.NewReader(string(body)))
		d.UseNumber()
		if err := d.Decode(&root); err != nil {
			t.Fatal(err)
		}
		at := any(map[string]any(root))
		for name := range strings.SplitSeq(path, ".") {
			o, _ := at.(map[string]any)
			at = o[name]
		}
		want, wantOK := "", true
		switch v := at.(type) {
		case string:
			want = v
		case json.Number:
			want = v.String()
		case bool:
			want = map[bool]string{true: "true", false: "false"}[v]
		default:
			wantOK = false
		}
		if got != want || ok != wantOK {
			t.Fatalf("Lookup(%q) = %q, %v; want %q, %v", path, got, ok, want, wantOK)
		}
	})
}
