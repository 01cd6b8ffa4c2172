package events

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestViewIsDocumented(t *testing.T) {
	var walk func(typ reflect.Type, path string)
	walk = func(typ reflect.Type, path string) {
		for f := range typ.Fields() {
			name := f.Tag.Get("json")
			if name == "" || name != strings.ToLower(name) || strings.Contains(name, ",") {
				t.Errorf("%s%s: json tag %q", path, f.Name, name)
			}
			if f.Tag.Get("doc") == "" {
				t.Errorf("%s%s has no doc tag", path, name)
			}
			ft := f.Type
			for ft.Kind() == reflect.Pointer || ft.Kind() == reflect.Slice {
				ft = ft.Elem()
			}
			if ft.Kind() == reflect.Struct {
				walk(ft, path+name+".")
			}
		}
	}
	walk(reflect.TypeFor[View](), "")
}

// Every field must be a path of the view's JSON, or rules that match and rules that look
// would speak of different things.
func TestFieldsArePathsOfTheView(t *testing.T) {
	s, n, at := "v", int64(1), "2026-11-20T09:43:00.000005Z"
	c := Commit{ID: &s}
	v := &View{
		Type: s, Source: s, Time: at, TotalCommits: &n, Branch: &s, Tag: &s, Before: &s, After: &s,
		Repository:   &Repository{ID: &s, Path: &s, Name: &s, WebURL: &s, DefaultBranch: &s},
		Author:       &Person{Name: &s, Username: &s, Email: &s},
		MergeRequest: &MergeRequest{ID: &n, IID: &n, Title: &s, State: &s, Action: &s, SourceBranch: &s, TargetBranch: &s, LastCommit: &c},
		Note:         &Note{Kind: &s, Action: &s},
		Build:        &Build{JobID: &s, JobName: &s, Outcome: &s, Duration: &n},
		Schedule:     &Schedule{ID: &s, Pattern: &s, Due: &at},
	}
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	flat := v.Flat()
	for _, f := range Fields() {
		want := map[FieldKind]string{KindText: s, KindNumber: "1", KindTime: at}[f.Kind()]
		if got, ok := Lookup(data, f.String()); !ok || got != want {
			t.Errorf("%s is no path of the view: %q", f, got)
		}
		if got, ok := flat.Get(f); !ok || got != want || !flat.Has(f) {
			t.Errorf("%s is not in Flat: %q", f, got)
		}
		if found, ok := FieldByName(f.String()); !ok || found != f {
			t.Errorf("FieldByName(%q) = %v, %v", f, found, ok)
		}
	}
}

func TestFlat(t *testing.T) {
	var f Flat
	if _, ok := f.Get(FieldBranch); ok {
		t.Error("a zero Flat has a branch")
	}
	f.Set(FieldTag, "")
	f.Set(FieldBranch, "main")
	f.Set(NumFields, "nothing")
	got := map[Field]string{}
	for field, value := range f.All() {
		got[field] = value
	}
	if diff := cmp.Diff(map[Field]string{FieldTag: "", FieldBranch: "main"}, got); diff != "" {
		t.Error(diff)
	}
	for range f.All() {
		break
	}
	if _, ok := f.Get(NumFields); ok || NumFields.String() != "" {
		t.Error("NumFields is a field")
	}
	if _, ok := FieldByName("repository.pathh"); ok {
		t.Error("found a field that is none")
	}
	if n := testing.AllocsPerRun(100, func() {
		var f Flat
		f.Set(FieldBranch, "main")
		_, _ = f.Get(FieldBranch)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestFlatNumbers(t *testing.T) {
	var f Flat
	f.Set(FieldTotalCommits, "many")
	f.Set(FieldTime, "yesterday")
	f.SetNumber(FieldBranch, 1)
	f.SetNumber(NumFields, 1)
	if f != (Flat{}) {
		t.Errorf("what is no number was set: %+v", f)
	}
	f.Set(FieldTotalCommits, "12")
	f.Set(FieldTime, "2026-11-20T17:43:00.000005999+08:00")
	if n, ok := f.Number(FieldTotalCommits); !ok || n != 12 {
		t.Errorf("12 commits are %d, %v", n, ok)
	}
	if at, ok := f.Get(FieldTime); !ok || at != "2026-11-20T09:43:00.000005Z" {
		t.Errorf("the time is %q, %v", at, ok)
	}
	if _, ok := f.Number(FieldScheduleDue); ok || f.Has(FieldScheduleDue) {
		t.Error("an absent number is there")
	}
	f.Set(FieldBranch, "7")
	if _, ok := f.Number(FieldBranch); ok {
		t.Error("a text is a number")
	}
	for _, field := range Fields() {
		if text := field.Kind() == KindText; text != (field < firstNumber) {
			t.Errorf("%s is of kind %d", field, field.Kind())
		}
	}
}

func TestNilPointersAreNull(t *testing.T) {
	v, err := Decode(&Event{ID: "s/1", Source: "s", Type: "unknown.none", Body: []byte(`{}`)})
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"type":"unknown.none","id":"s/1","source":"s","time":"0001-01-01T00:00:00Z","repository":null,"branch":null,` +
		`"tag":null,"before":null,"after":null,"author":null,"commits":[],"total_commits":null,"merge_request":null,"note":null,` +
		`"build":null,"schedule":null,"chain":{"depth":0,"origin":"","action":""},"raw":{}}`
	if string(data) != want {
		t.Errorf("got  %s\nwant %s", data, want)
	}
}

func TestHead(t *testing.T) {
	rows := []struct{ typ, body, id, message string }{
		{"push", `{"after":"b","commits":[{"id":"a","message":"1"},{"id":"b","message":"2"}]}`, "b", "2"},
		{"push", `{"after":"c","commits":[{"id":"a","message":"1"}]}`, "c", ""},
		{"push", `{"commits":[{"id":"a","message":"1"},{"id":"b","message":"2"}]}`, "b", "2"},
		{"push", `{"after":"0000","commits":[{"id":"a","message":"1"}]}`, "", ""},
		{"push", `{}`, "", ""},
		{"merge_request.open", `{"object_attributes":{"last_commit":{"id":"m","message":"3"}}}`, "m", "3"},
		{"merge_request.open", `{"object_attributes":{}}`, "", ""},
		{"build.failed", `{"build":{"commit":"d"}}`, "d", ""},
		{"note.commit", `{"object_attributes":{"commit_id":"d"},"commit":{"id":"d","message":"4"}}`, "", ""},
		{"unknown.x", `{"after":"e"}`, "e", ""},
	}
	for _, row := range rows {
		v, err := Decode(&Event{Type: row.typ, Body: []byte(row.body)})
		if err != nil {
			t.Fatal(err)
		}
		if id, message := v.Head(); id != row.id || message != row.message {
			t.Errorf("%s %s: head %q %q, want %q %q", row.typ, row.body, id, message, row.id, row.message)
		}
	}
}

func TestNewTick(t *testing.T) {
	due := time.Date(2026, 11, 21, 9, 0, 0, 0, time.FixedZone("CST", 8*3600))
	e := NewTick("abcd", "0 0 9 * * *", "Asia/Shanghai", due)
	if e.ID != "schedule/abcd/2026-11-21T01:00:00Z" || e.Type != TypeTick || !ValidSource(e.Source) {
		t.Errorf("got %+v", e)
	}
	scanned, err := Scan(e.Body, "")
	if err != nil || scanned.Type != TypeTick {
		t.Errorf("Scan: %+v, %v", scanned, err)
	}
	v, err := Decode(e)
	if err != nil {
		t.Fatal(err)
	}
	text := func(s string) *string { return &s }
	want := &Schedule{ID: text("abcd"), Pattern: text("0 0 9 * * *"), TimeZone: text("Asia/Shanghai"), Due: text("2026-11-21T01:00:00Z")}
	if diff := cmp.Diff(want, v.Schedule); diff != "" {
		t.Errorf("schedule (-want +got):\n%s", diff)
	}
}

// FuzzDecode says that no body and no type make Decode panic, and that a view is the
// same when it is made twice.
func FuzzDecode(f *testing.F) {
	for name, body := range bodies(f) {
		kind, _, _ := strings.Cut(name, "_")
		f.Add(kind, body)
	}
	for _, typ := range Types() {
		f.Add(typ, []byte(`{"build":[],"object_attributes":{"last_commit":7},"merge_request":{},"commit":{}}`))
	}
	f.Fuzz(func(t *testing.T, typ string, body []byte) {
		e := &Event{ID: "s/1", Source: "s", Type: typ, Body: body}
		v, err := Decode(e)
		if err != nil {
			return
		}
		if v.Commits == nil || v.Type != typ {
			t.Fatalf("got %+v", v)
		}
		again, err := Decode(e)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(v, again); diff != "" {
			t.Fatal(diff)
		}
		v.Flat()
		v.Head()
	})
}
