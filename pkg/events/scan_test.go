package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

func TestScanRefuses(t *testing.T) {
	nested := func(depth int) string {
		return strings.Repeat(`{"a":`, depth) + "1" + strings.Repeat("}", depth)
	}
	rows := []struct{ name, body, reason string }{
		{"empty", "", "does not start with {"},
		{"spaces", " \n\t ", "does not start with {"},
		{"array", "[]", "does not start with {"},
		{"string", `"a"`, "does not start with {"},
		{"byte order mark", "\uFEFF{}", "does not start with {"},
		{"form", "a=1&b=2", "does not start with {"},
		{"cut", `{"a":1`, "a comma or } is missing"},
		{"cut in a name", `{"a`, "a string is not closed"},
		{"cut in an escape", `{"a\`, "an escape is malformed"},
		{"second object", `{} {}`, "something follows"},
		{"trailing text", `{"a":1}x`, "something follows"},
		{"trailing zero byte", "{}\x00", "something follows"},
		{"trailing comma", `{"a":1,}`, "a name in quotes is missing"},
		{"trailing comma in a list", `{"a":[1,]}`, "a value is missing"},
		{"no colon", `{"a" 1}`, "a colon is missing"},
		{"no value", `{"a":}`, "a value is missing"},
		{"no comma", `{"a":[1 2]}`, "a comma or ] is missing"},
		{"bare name", `{a:1}`, "a name in quotes is missing"},
		{"bad literal", `{"a":nul}`, "a value is missing"},
		{"long literal", `{"a":nulls}`, "a comma or } is missing"},
		{"NaN", `{"a":NaN}`, "a value is missing"},
		{"leading zero", `{"a":01}`, "a comma or } is missing"},
		{"plus", `{"a":+1}`, "a value is missing"},
		{"no digits", `{"a":-}`, "a number is malformed"},
		{"no fraction", `{"a":1.}`, "a number is malformed"},
		{"no exponent", `{"a":1e+}`, "a number is malformed"},
		{"control character", "{\"a\":\"line\nbreak\"}", "a control character"},
		{"control character far in", "{\"a\":\"0123456789abcdef\x01\"}", "a control character"},
		{"unknown escape", `{"a":"\x"}`, "an escape is malformed"},
		{"bad code point", `{"a":"\u12g4"}`, "an escape is malformed"},
		{"not UTF-8", "{\"a\":\"\xff\"}", "not valid UTF-8"},
		{"too deep", nested(maxDepth + 1), "nested too deep"},
		{"far too deep", nested(200_000), "nested too deep"},
		{"lists too deep", `{"a":` + strings.Repeat("[", 300_000), "nested too deep"},
		{"deep where it is read", `{"project":` + nested(maxDepth) + `}`, "nested too deep"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			_, err := Scan([]byte(row.body), "push")
			var syntax *SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("got %v, want a SyntaxError", err)
			}
			if !strings.Contains(err.Error(), row.reason) {
				t.Errorf("got %q, want %q in it", err, row.reason)
			}
			if _, err := Decode(&Event{Body: []byte(row.body)}); !errors.As(err, &syntax) {
				t.Errorf("Decode: got %v, want a SyntaxError", err)
			}
			if _, ok := Lookup([]byte(row.body), "a"); ok {
				t.Error("Lookup found something")
			}
		})
	}
	if _, err := Scan([]byte(nested(maxDepth)), ""); err != nil {
		t.Errorf("at the bound: %v", err)
	}
}

func TestScanErrorShowsNoByteOfTheBody(t *testing.T) {
	body := `{"token":"hunter2", hunter3`
	_, err := Scan([]byte(body), "")
	if err == nil || strings.Contains(err.Error(), "hunter") || !strings.Contains(err.Error(), "(byte 20)") {
		t.Errorf("got %v", err)
	}
}

func TestScanType(t *testing.T) {
	zero := strings.Repeat("0", 40)
	rows := []struct{ body, hint, want string }{
		{`{"object_kind":"push"}`, "Note Hook", "push"},
		{`{"object_kind":"push","after":"` + zero + `"}`, "", "branch_delete"},
		{`{"object_kind":"push","ref":"refs/tags/v1"}`, "", "tag_push"},
		{`{"object_kind":"tag_push","after":"` + zero + `"}`, "", "tag_delete"},
		{`{"event_name":"push"}`, "", "push"},
		{`{"object_kind":"","event_name":null,"event_type":"note","object_attributes":{"` + keyNoteSubject + `":"Snippet"}}`, "", "note.snippet"},
		{`{"event_type":"note","object_attributes":{"` + keyNoteSubject + `":"MergeRequest"}}`, "", "note.merge_request"},
		{`{"event_type":"note","object_attributes":{"` + keyNoteSubject + `":"Epic Board"}}`, "", "unknown.note_epic__board"},
		{`{"event_type":"note"}`, "", "unknown.note"},
		{`{}`, "Push Hook", "push"},
		{`{}`, "Tag Push Hook", "tag_push"},
		{`{"object_attributes":{"action":"open"}}`, "Merge Request Hook", "merge_request.open"},
		{`{}`, "pull_request", "unknown.pull_request"},
		{`{}`, "  ", "unknown.none"},
		{`{}`, "../../Ü", "unknown.________"},
		{`{"object_kind":"merge_request","object_attributes":{"action":"update","state":"opened"}}`, "", "merge_request.update"},
		{`{"object_kind":"merge_request","object_attributes":{"action":"update","state":"merged"}}`, "", "merge_request.merge"},
		{`{"object_kind":"merge_request","object_attributes":{"action":"close","state":"merged"}}`, "", "merge_request.close"},
		{`{"object_kind":"merge_request","object_attributes":{"action":"merge.x"}}`, "", "unknown.merge_request_merge_x"},
		{`{"object_kind":"build","action":"config_changed"}`, "", "build.config_changed"},
		{`{"object_kind":"build","action":7}`, "", "unknown.build"},
		{`{"object_kind":"schedule"}`, "", "schedule.tick"},
		{`{"object_kind":"` + strings.Repeat("x", 100) + `"}`, "", "unknown." + strings.Repeat("x", 40)},
		{`{"object_kind":"merge_request.open"}`, "", "unknown.merge_request_open"},
		{`{"object_kind":["push"],"object_kind":"push"}`, "", "push"},
		{`{"object_kind":"push","object_kind":["push"]}`, "", "unknown.none"},
	}
	for _, row := range rows {
		got, err := Scan([]byte(row.body), row.hint)
		if err != nil || got.Type != row.want {
			t.Errorf("Scan(%s, %q) = %q, %v; want %q", row.body, row.hint, got.Type, err, row.want)
		}
		if !ValidType(got.Type) {
			t.Errorf("%q is no type", got.Type)
		}
	}
}

func TestEveryTypeCanBeScanned(t *testing.T) {
	zero := strings.Repeat("0", 40)
	for _, typ := range Types() {
		kind, what, _ := strings.Cut(typ, ".")
		body := `{"object_kind":"` + kind + `","action":"` + what + `","object_attributes":{"action":"` + what + `","` + keyNoteSubject + `":"` + what + `"}}`
		switch typ {
		case typeBranchDelete:
			body = `{"object_kind":"push","after":"` + zero + `"}`
		case typeTagDelete:
			body = `{"object_kind":"tag_push","after":"` + zero + `"}`
		}
		got, err := Scan([]byte(body), "")
		if err != nil || got.Type != typ {
			t.Errorf("Scan(%s) = %q, %v; want %q", body, got.Type, err, typ)
		}
		if !ValidType(typ) {
			t.Errorf("%q is no type", typ)
		}
	}
}

func TestTypesIsACopy(t *testing.T) {
	Types()[0] = "changed"
	if Types()[0] != typePush {
		t.Error("a caller changed the list")
	}
}

func TestScanRepository(t *testing.T) {
	rows := []struct{ body, want string }{
		{`{"project":{"path_with_namespace":"a/b"},"repository":{"full_name":"c/d"}}`, "a/b"},
		{`{"project":null,"repository":{"full_name":"c/d"}}`, "c/d"},
		{`{"project":{"path_with_namespace":""},"repository":{"path_with_namespace":"e/f","full_name":"c/d"}}`, "e/f"},
		{`{"project":{"path_with_namespace":"a\u0000b"}}`, ""},
		{`{"project":{"path_with_namespace":"a\r\nNats-Msg-Id: x"}}`, ""},
		{`{"project":{"path_with_namespace":"` + strings.Repeat("x", maxRepository+1) + `"}}`, ""},
		{`{"project":{"path_with_namespace":"团队/订单"}}`, "团队/订单"},
		{`{"project":[{"path_with_namespace":"a/b"}]}`, ""},
	}
	for _, row := range rows {
		if got, err := Scan([]byte(row.body), ""); err != nil || got.Repository != row.want {
			t.Errorf("Scan(%s).Repository = %q, %v; want %q", row.body, got.Repository, err, row.want)
		}
	}
}

func TestValidNames(t *testing.T) {
	for name, want := range map[string]bool{
		"push": true, "a.b": true, "a_1.b_2": true, "": false, ".": false, "a.": false, ".a": false,
		"a.b.c": false, "A": false, "a-b": false, "a b": false, "*": false, ">": false,
	} {
		if got := ValidType(name); got != want {
			t.Errorf("ValidType(%q) = %v", name, got)
		}
	}
	for name, want := range map[string]bool{
		"repo": true, "repo-2": true, "": false, "Repo": false, "a.b": false, "a/b": false, "*": false,
		strings.Repeat("a", 40): true, strings.Repeat("a", 41): false,
	} {
		if got := ValidSource(name); got != want {
			t.Errorf("ValidSource(%q) = %v", name, got)
		}
	}
}

// depthOf counts brackets outside strings.
func depthOf(body []byte) (deepest int) {
	depth, inString := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}

// FuzzScan holds the scanner against encoding/json, and Decode against Scan.
func FuzzScan(f *testing.F) {
	for _, body := range bodies(f) {
		f.Add(body, "Push Hook")
	}
	for _, s := range []string{
		``, `{`, `{}`, `{"a":"\ud800"}`, `{"object_kind":1e9}`, `{"a":[[[[]]],{"b":-0.1e-5}]}`, "{\"a\":\"\xc3\x28\"}",
		`{"uuid":"\u0000"}`, `{"a":tru}`, `{"project":{"path_with_namespace":"\ud800"}}`, `{"":{"":""}} `,
	} {
		f.Add([]byte(s), "")
	}
	f.Fuzz(func(t *testing.T, body []byte, hint string) {
		before := bytes.Clone(body)
		got, err := Scan(body, hint)
		if !bytes.Equal(before, body) {
			t.Fatal("Scan changed the body")
		}
		want := json.Valid(body) && utf8.Valid(body) && bytes.TrimLeft(body, " \t\r\n")[0] == '{' && depthOf(body) <= maxDepth
		if (err == nil) != want {
			t.Fatalf("Scan: %v, want accepted %v", err, want)
		}
		v, decodeErr := Decode(&Event{ID: "s/1", Source: "s", Type: got.Type, Repository: got.Repository, Body: body})
		if (decodeErr == nil) != (err == nil) {
			t.Fatalf("Scan: %v, Decode: %v", err, decodeErr)
		}
		if err != nil {
			if !utf8.ValidString(err.Error()) || len(err.Error()) > 120 {
				t.Fatalf("error text: %q", err)
			}
			return
		}
		if !ValidType(got.Type) || len(got.Type) > 60 {
			t.Fatalf("type %q", got.Type)
		}
		path := ""
		if v.Repository != nil {
			path = value(v.Repository.Path)
		}
		if path != got.Repository {
			t.Fatalf("Scan says repository %q, Decode %q", got.Repository, path)
		}
		if !jsontext.Value(v.Raw).IsValid() {
			t.Fatalf("raw is not strict: %s", v.Raw)
		}
		if out, err := json.Marshal(v); err != nil || !jsontext.Value(out).IsValid() {
			t.Fatalf("the view does not marshal: %v %s", err, out)
		}
		v.Head()
	})
}

func BenchmarkScan(b *testing.B) {
	all := bodies(b)
	for _, name := range []string{"push", "merge_request_open"} {
		body := all[name]
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Scan(body, ""); err != nil {
					b.Fatal(err)
				}
			}
		})
		// What the hand-written scanner is measured against: jsontext validating the same
		// body without extracting anything.
		b.Run(name+"/jsontext", func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if !jsontext.Value(body).IsValid(jsontext.AllowDuplicateNames(true)) {
					b.Fatal("not valid")
				}
			}
		})
		b.Run(name+"/encoding_json", func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if !json.Valid(body) {
					b.Fatal("not valid")
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	e := &Event{ID: "repo/1", Source: "repo", Type: "push", Body: bodies(b)["push"]}
	b.SetBytes(int64(len(e.Body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(e); err != nil {
			b.Fatal(err)
		}
	}
}
