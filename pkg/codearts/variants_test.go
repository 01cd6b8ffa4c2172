package codearts_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/codearts"
)

// variant is an answer that differs from an example in one place.
type variant struct {
	what string // "null" or "missing"
	path string // as in example.Needs; elements of lists are written [0]
	body string
}

// variants are the answers in which one field is missing or null, or one element of a list null. Of an envelope only the error member is
// left out: without a status or a result it says nothing.
func variants(t testing.TB, e example) []variant {
	t.Helper()
	root := parse(t, string(e.Answer))
	envelope, _ := root.(map[string]any)
	enveloped := envelope["status"] != nil && !e.V4
	var all []variant
	note := func(what, path string) {
		data, err := json.Marshal(root)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, variant{what, strings.TrimPrefix(path, "."), string(data)})
	}
	var walk func(v any, path string, top bool)
	walk = func(v any, path string, top bool) {
		switch v := v.(type) {
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(v)) {
				was := v[name]
				walk(was, path+"."+name, false)
				if top && (name == "status" || name == "result") {
					continue
				}
				v[name] = nil
				note("null", path+"."+name)
				delete(v, name)
				note("missing", path+"."+name)
				v[name] = was
			}
		case []any:
			for i, was := range v {
				walk(was, fmt.Sprintf("%s[%d]", path, i), false)
				v[i] = nil
				note("null", fmt.Sprintf("%s[%d]", path, i))
				v[i] = was
			}
		}
	}
	walk(root, "", enveloped)
	return all
}

// A field that is missing or null is null in the result, and everything else is as it was.
func TestExamplesWithoutAField(t *testing.T) {
	for _, e := range readable(t) {
		if e.Answer == nil {
			continue
		}
		t.Run(e.name, func(t *testing.T) {
			whole, err := e.decoded(t, e.body())
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range variants(t, e) {
				got, err := e.decoded(t, v.body)
				switch needed := slices.Contains(e.Needs, v.path); {
				case needed && !isOurs(err) && (v.what == "missing" || !isNothing(got)):
					t.Errorf("%s %s: %v, error is %v", v.path, v.what, got, err)
				case !needed && err != nil:
					t.Errorf("%s %s: %v", v.path, v.what, err)
				case !needed:
					if path := added(got, whole, e.Ours, ""); path != "" {
						t.Errorf("%s %s: the result has another %s:\n%v\n%v", v.path, v.what, path, whole, got)
					}
				}
			}
		})
	}
}

// isOurs reports whether err is of a kind that callers may expect.
func isOurs(err error) bool {
	_, isAPI := errors.AsType[*codearts.APIError](err)
	_, isMismatch := errors.AsType[*codearts.MismatchError](err)
	_, isNotReady := errors.AsType[*codearts.NotReadyError](err)
	return isAPI || isMismatch || isNotReady
}

// added returns the path of something in got that is not in whole, "" when there is only less.
func added(got, whole any, ours []string, path string) string {
	if isNothing(got) {
		return ""
	}
	switch g := got.(type) {
	case map[string]any:
		w, ok := whole.(map[string]any)
		if !ok {
			return cmp.Or(path, "value")
		}
		for name, value := range g {
			if slices.Contains(ours, name) {
				continue
			}
			if found := added(value, w[name], ours, path+"."+name); found != "" {
				return found
			}
		}
		return ""
	case []any:
		w, ok := whole.([]any)
		if !ok || len(g) > len(w) {
			return cmp.Or(path, "value")
		}
		for i := range g {
			if found := added(g[i], w[i], ours, fmt.Sprintf("%s[%d]", path, i)); found != "" {
				return found
			}
		}
		return ""
	}
	if !gocmp.Equal(got, whole) {
		return cmp.Or(path, "value")
	}
	return ""
}

// Fields that nobody knows change nothing.
func TestExamplesWithUnknownFields(t *testing.T) {
	const unknown = "surprise"
	for _, e := range readable(t) {
		if e.Answer == nil {
			continue
		}
		t.Run(e.name, func(t *testing.T) {
			whole, err := e.decoded(t, e.body())
			if err != nil {
				t.Fatal(err)
			}
			for _, value := range []any{nil, true, "text", 1, []any{}, map[string]any{"a": []any{1, map[string]any{"b": nil}}}} {
				root := parse(t, e.body())
				var walk func(v any)
				walk = func(v any) {
					switch v := v.(type) {
					case map[string]any:
						for name, below := range v {
							if !slices.Contains(e.Maps, name) {
								walk(below)
							}
						}
						v[unknown] = value
					case []any:
						for _, below := range v {
							walk(below)
						}
					}
				}
				walk(root)
				data, err := json.Marshal(root)
				if err != nil {
					t.Fatal(err)
				}
				got, err := e.decoded(t, string(data))
				if err != nil {
					t.Fatalf("%v: %v", value, err)
				}
				if diff := gocmp.Diff(whole, got); diff != "" {
					t.Errorf("%v (-without +with):\n%s", value, diff)
				}
			}
		})
	}
}
