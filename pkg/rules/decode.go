package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// Decode reads one JSON value as the type says: objects become map[string]any with exactly the type's fields, lists []any, numbers
// int64 or float64. What is missing or null becomes nil, what the type does not name is dropped, and a secret field reads
// "[redacted]" whatever it holds. Where a string is wanted an integer is taken as its digits, as it is written: an id may be either,
// and nothing is lost. A value of another kind is a *DecodeError.
func (t *Type) Decode(data []byte) (any, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, nil
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not JSON: more than one value")
	}
	return t.project(v, nil)
}

// project shapes a value decoded with UseNumber.
func (t *Type) project(v any, path []string) (any, error) {
	if v == nil {
		return nil, nil
	}
	if t == nil || t.Kind == Dyn {
		return plain(v), nil
	}
	switch t.Kind {
	case Bool:
		if b, ok := v.(bool); ok {
			return b, nil
		}
	case String:
		if s, ok := v.(string); ok {
			return s, nil
		}
		if n, ok := v.(json.Number); ok && !strings.ContainsAny(n.String(), ".eE") {
			return n.String(), nil
		}
	case Int:
		if n, ok := v.(json.Number); ok {
			if i, ok := exactInt(n.String()); ok {
				return i, nil
			}
		}
	case Double:
		if n, ok := v.(json.Number); ok {
			if f, err := n.Float64(); err == nil {
				return f, nil
			}
		}
	case List:
		if l, ok := v.([]any); ok {
			return t.projectList(l, path)
		}
	case Map, Object:
		if m, ok := v.(map[string]any); ok {
			return t.projectMap(m, path)
		}
	}
	return nil, &DecodeError{Path: strings.Join(path, "."), Want: t, Got: jsonKind(v)}
}

func (t *Type) projectList(l []any, path []string) (any, error) {
	out := make([]any, len(l))
	for i, e := range l {
		v, err := t.Elem.project(e, append(path, strconv.Itoa(i)))
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

func (t *Type) projectMap(m map[string]any, path []string) (any, error) {
	out := make(map[string]any, len(m))
	if t.Kind == Map {
		for k, e := range m {
			v, err := t.Elem.project(e, append(path, k))
			if err != nil {
				return nil, err
			}
			out[k] = v
		}
		return out, nil
	}
	for i := range t.Fields {
		f := &t.Fields[i]
		e := m[f.Name]
		if f.Secret && e != nil {
			out[f.Name] = redact(f.Type)
			continue
		}
		v, err := f.Type.project(e, append(path, f.Name))
		if err != nil {
			return nil, err
		}
		out[f.Name] = v
	}
	return out, nil
}

// redact is what stands for a secret: the word itself where a string may stand, otherwise nothing.
func redact(t *Type) any {
	if t == nil || t.Kind == String || t.Kind == Dyn {
		return Redacted
	}
	return nil
}

// plain turns the numbers of a value decoded with UseNumber into int64 where that is exact and written so, else float64.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		if !strings.ContainsAny(v.String(), ".eE") {
			if i, err := v.Int64(); err == nil {
				return i
			}
		}
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	}
	return v
}

// exactInt reads a JSON number that is an integer, also when it is written 3.0 or 1e3.
func exactInt(s string) (int64, bool) {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return i, true
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int64(f), true
}

func jsonKind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "bool"
	case string:
		return "string"
	case json.Number, int64, int, float64:
		return "number"
	case []any:
		return "list"
	case map[string]any:
		return "object"
	}
	return fmt.Sprintf("%T", v)
}
