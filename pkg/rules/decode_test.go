package rules

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type decodeSample struct {
	Text    *string                `json:"text" doc:"a text"`
	Count   int                    `json:"count"`
	Ratio   float64                `json:"ratio"`
	Yes     *bool                  `json:"yes"`
	When    time.Time              `json:"when"`
	Any     any                    `json:"any"`
	Raw     json.RawMessage        `json:"raw"`
	List    []decodeElem           `json:"list"`
	Map     map[string]*decodeElem `json:"map"`
	Key     string                 `json:"key" secret:"true"`
	Keys    []string               `json:"keys" secret:"true"`
	Next    *decodeSample          `json:"next"`
	Ignored string                 `json:"-"`
	decodeEmbedded
}

type decodeElem struct {
	N *int64 `json:"n"`
}

type decodeEmbedded struct {
	Inner string `json:"inner,omitempty"`
}

func TestTypeFor(t *testing.T) {
	got := map[string]string{}
	typ := TypeFor[*decodeSample]("sample")
	for _, f := range typ.Fields {
		got[f.Name] = f.Type.String()
	}
	want := map[string]string{
		"text": "string", "count": "int", "ratio": "double", "yes": "bool", "when": "string", "any": "any", "raw": "any",
		"list": "list of object", "map": "map of object", "key": "string", "keys": "list of string", "next": "any", "inner": "string",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if f, _ := typ.Field("text"); f.Doc != "a text" {
		t.Error("the doc is lost")
	}
	list, _ := typ.Field("list")
	if m, _ := typ.Field("map"); m.Type.Elem != list.Type.Elem {
		t.Error("the same struct within one type is the same type")
	}
}

func TestDecode(t *testing.T) {
	typ := TypeFor[decodeSample]("sample")
	got, err := typ.Decode([]byte(`{"text":"x","count":3.0,"ratio":1,"yes":true,"any":{"a":[1,2.0,1e2,null,12345678901234567890]},"raw":5,
		"list":[{"n":9007199254740993,"zz":1},null],"map":{"k":{"n":1}},"key":"hunter2","keys":["hunter3"],"unknown":1}`))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"text": "x", "count": int64(3), "ratio": 1.0, "yes": true, "when": nil, "raw": int64(5),
		"any":  map[string]any{"a": []any{int64(1), 2.0, 100.0, nil, 12345678901234567890.0}},
		"list": []any{map[string]any{"n": int64(9007199254740993)}, nil},
		"map":  map[string]any{"k": map[string]any{"n": int64(1)}},
		"key":  Redacted, "keys": nil, "next": nil, "inner": nil,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for in, want := range map[string]any{
		`{"text":2111000001}`:              "2111000001",
		`{"text":-1}`:                      "-1",
		`{"text":123456789012345678901}`:   "123456789012345678901",
		`{"text":"0017","map":{},"key":1}`: "0017",
	} {
		got, err := typ.Decode([]byte(in))
		if m, _ := got.(map[string]any); err != nil || m["text"] != want {
			t.Errorf("%s: got %v, %v", in, got, err)
		}
	}
	for in, want := range map[string]string{
		`{"text":1.5}`:          "text: want string, got number",
		`{"text":1e3}`:          "text: want string, got number",
		`{"text":true}`:         "text: want string, got bool",
		`{"count":"3"}`:         "count: want int, got string",
		`{"count":3.5}`:         "count: want int, got number",
		`{"list":[{"n":true}]}`: "list.0.n: want int, got bool",
		`{"map":[]}`:            "map: want map of object, got list",
		`[]`:                    "want object, got list",
	} {
		_, err := typ.Decode([]byte(in))
		var wrong *DecodeError
		if !errors.As(err, &wrong) || err.Error() != want {
			t.Errorf("%s: got %v, want %s", in, err, want)
		}
	}
	for _, in := range []string{`{`, `{} {}`, `nul`} {
		if _, err := typ.Decode([]byte(in)); err == nil {
			t.Errorf("%s: no error", in)
		}
	}
	for _, in := range []string{``, ` `, `null`} {
		if v, err := typ.Decode([]byte(in)); v != nil || err != nil {
			t.Errorf("%q: %v, %v", in, v, err)
		}
	}
}

// FuzzDecode checks that whatever decodes fits the type: marshalled and decoded again it is the same.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{}`, `null`, `{"count":3.0,"any":[1,{"a":1e400}]}`, `{"list":[{"n":1}],"map":{"":null}}`, `{"key":1}`, `[[[[`, `{"raw":-0.0}`} {
		f.Add([]byte(s))
	}
	typ := TypeFor[decodeSample]("sample")
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := typ.Decode(data)
		if err != nil {
			return
		}
		again, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if v == nil {
			return
		}
		w, err := typ.Decode(again)
		if err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		m, n := v.(map[string]any), w.(map[string]any)
		for _, k := range []string{"text", "count", "ratio", "yes", "list", "map", "key"} {
			if diff := cmp.Diff(m[k], n[k]); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}
