package rules

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// maxSeen is how many bytes of a value an explanation shows; of a larger one it tells the size.
const maxSeen = 256

func (t *explainer) chains(e celast.Expr) []chain {
	sub := celast.NewAST(e, t.info)
	return chainsOf(sub)
}

// seen is what a leaf read: what it compares, else the value it reads, or an object of the values by name when it reads several.
func (t *explainer) seen(e celast.Expr) json.RawMessage {
	if c, ok := t.compared(e); ok && len(t.chains(c.wanted)) == 0 {
		if v, ok := t.value(c.seen); ok {
			return shown(v)
		}
	}
	values := map[string]any{}
	t.read(e, nil, values)
	switch len(values) {
	case 0:
		return nil
	case 1:
		for _, only := range values {
			return shown(only)
		}
	}
	for name, v := range values {
		if room(v, maxLooked) >= 0 {
			values[name] = withoutNulls(v)
		}
	}
	if room(values, maxLooked) >= 0 {
		if data := asJSON(values); data != nil && len(data) <= maxSeen {
			return data
		}
	}
	return asJSON(shortened(values, true))
}

// value is what a part of the expression came to; of a large list or object, a word about it.
func (t *explainer) value(e celast.Expr) (any, bool) {
	if path, ok := selection(e); ok && isRoot(path[0]) && nullAt(t.act, path) == 0 {
		return valueAt(t.act, path), true
	}
	if t.state == nil {
		return nil, false
	}
	v, ok := t.state.Value(e.ID())
	if !ok || types.IsUnknownOrError(v) {
		return nil, false
	}
	if roomOf(v, maxLooked) < 0 {
		switch v := v.(type) {
		case traits.Lister:
			return fmt.Sprintf("… a list of %v", v.Size().Value()), true
		case traits.Mapper:
			return "… an object", true
		}
	}
	out, err := native(v)
	return out, err == nil
}

// roomOf is room for a value of the expression language.
func roomOf(v ref.Val, n int) int {
	switch v := v.(type) {
	case types.String:
		return n - len(v)
	case traits.Lister:
		for it := v.Iterator(); n >= 0 && it.HasNext() == types.True; {
			n = roomOf(it.Next(), n)
		}
		return n
	case traits.Mapper:
		for it := v.Iterator(); n >= 0 && it.HasNext() == types.True; {
			k := it.Next()
			n = roomOf(v.Get(k), roomOf(k, n))
		}
		return n
	}
	return n - 1
}

// read collects what an expression reads from the variables, by its text: event.branch, event.commits[0].title.
func (t *explainer) read(e celast.Expr, bound []string, into map[string]any) {
	if path, ok := selection(e); ok {
		if !isRoot(path[0]) || slices.Contains(bound, path[0]) {
			return
		}
		if n := nullAt(t.act, path); n > 0 {
			path = path[:n]
		}
		into[strings.Join(path, ".")] = valueAt(t.act, path)
		return
	}
	if steps := accessSteps(e); len(steps) > 0 && len(bound) == 0 {
		if chains := t.chains(e); len(chains) > 0 {
			if v, ok := t.value(e); ok {
				into[t.source(e)] = v
				return
			}
		}
	}
	eachChild(e, bound, func(child celast.Expr, bound []string) { t.read(child, bound, into) })
}

func valueAt(act activation, path []string) any {
	var cur any = map[string]any(act)
	for _, name := range path {
		switch m := cur.(type) {
		case map[string]any:
			cur = m[name]
		case *boundObject:
			cur = m.fields[name]
		default:
			return nil
		}
	}
	return cur
}

// shown is a value as JSON, without the null fields of objects; parts that are too large are replaced by a word about them. What it
// costs does not grow with the value: a condition may look at a large one for each of a thousand items.
func shown(v any) json.RawMessage {
	if room(v, maxLooked) >= 0 {
		if data := asJSON(withoutNulls(v)); data != nil && len(data) <= maxSeen {
			return data
		}
	}
	switch v := v.(type) {
	case string:
		return asJSON(truncate(v[:min(len(v), 2*maxSeen)], maxSeen/4))
	case map[string]any:
		if len(v) <= maxLooked {
			return asJSON(shortened(v, false))
		}
	}
	return asJSON("… " + describe(v))
}

// maxLooked is how much of a value is looked at to see whether it is small.
const maxLooked = 4 * maxSeen

// room is what is left of n when a value is written, negative when it does not fit for certain. A null counts 1.
func room(v any, n int) int {
	switch v := v.(type) {
	case string:
		return n - len(v)
	case []any:
		for i := 0; i < len(v) && n >= 0; i++ {
			n = room(v[i], n)
		}
		return n
	case map[string]any:
		for k, e := range v {
			if n < 0 {
				break
			}
			if n = room(e, n); e != nil {
				n -= len(k)
			}
		}
		return n
	}
	return n - 1
}

// asJSON is a value as people read it, with < and > as they are; nil when it has none, as an infinite number.
func asJSON(v any) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// shortened keeps the small fields of an object, as many as there is room for; null ones only with nulls.
func shortened(m map[string]any, nulls bool) map[string]any {
	out := map[string]any{}
	space := maxSeen
	var left int
	for _, k := range sortedKeys(m) {
		v := m[k]
		if v == nil && !nulls {
			continue
		}
		var one json.RawMessage
		if room(v, maxLooked) >= 0 {
			v = withoutNulls(v)
			one = asJSON(v)
		}
		if one == nil || len(one) > maxSeen/4 {
			v = "… " + describe(v)
			one = asJSON(v)
		}
		if space -= len(k) + len(one) + len(`"":,`); space < 0 {
			left++
			continue
		}
		out[k] = v
	}
	if left > 0 {
		out["…"] = left // more fields
	}
	return out
}

// withoutNulls leaves the null fields of objects out. What is null itself stays.
func withoutNulls(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			if e != nil {
				out[k] = withoutNulls(e)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = withoutNulls(e)
		}
		return out
	}
	return v
}
