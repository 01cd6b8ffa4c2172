package rules

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// native turns what an expression came to into map[string]any, []any, string, int64, float64, bool or nil. A timestamp becomes
// RFC 3339 in UTC, a duration Go's text, a link the Text of a message.
func native(v ref.Val) (any, error) {
	switch v := v.(type) {
	case nil, types.Null:
		return nil, nil
	case types.Bool:
		return bool(v), nil
	case types.Int:
		return int64(v), nil
	case types.Uint:
		if v > math.MaxInt64 {
			return nil, errors.New("the number is too large")
		}
		return int64(v), nil
	case types.Double:
		return float64(v), nil
	case types.String:
		return string(v), nil
	case types.Timestamp:
		return v.Time.UTC().Format(time.RFC3339Nano), nil
	case types.Duration:
		return v.String(), nil
	case *types.Optional:
		if !v.HasValue() {
			return nil, nil
		}
		return native(v.GetValue())
	case *boundObject:
		return v.fields, nil
	case linkValue:
		return v.parts, nil
	case traits.Lister:
		return nativeList(v)
	case traits.Mapper:
		return nativeMap(v)
	}
	return nil, fmt.Errorf("a %s is not a value that a rule can use", v.Type().TypeName())
}

func nativeList(l traits.Lister) (any, error) {
	out := []any{}
	for it := l.Iterator(); it.HasNext() == types.True; {
		e, err := native(it.Next())
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

func nativeMap(m traits.Mapper) (any, error) {
	if fields, ok := m.Value().(map[string]any); ok {
		return fields, nil
	}
	out := map[string]any{}
	for it := m.Iterator(); it.HasNext() == types.True; {
		k := it.Next()
		name, ok := k.(types.String)
		if !ok {
			return nil, errors.New("a map needs strings as keys")
		}
		e, err := native(m.Get(k))
		if err != nil {
			return nil, err
		}
		out[string(name)] = e
	}
	return out, nil
}

// text is a scalar as it stands in a text: numbers in decimal, true and false, links as markdown.
func text(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case bool:
		return strconv.FormatBool(v), true
	case Text:
		return v.markdown(), true
	}
	return "", false
}

// convert brings a value to the wire type of an argument if nothing is lost: digits may be a string or a number.
func convert(v any, to Kind) (any, error) {
	switch to {
	case String:
		switch v := v.(type) {
		case string:
			return v, nil
		case int64:
			return strconv.FormatInt(v, 10), nil
		case bool:
			return strconv.FormatBool(v), nil
		case float64:
			if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
				return strconv.FormatInt(int64(v), 10), nil
			}
		}
	case Int:
		switch v := v.(type) {
		case int64:
			return v, nil
		case float64:
			if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
				return int64(v), nil
			}
		case string:
			if n, err := strconv.ParseInt(v, 10, 64); err == nil && strconv.FormatInt(n, 10) == v {
				return n, nil
			}
		}
	case Double:
		switch v := v.(type) {
		case float64:
			return v, nil
		case int64:
			return float64(v), nil
		case string:
			if f, err := strconv.ParseFloat(v, 64); err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
				return f, nil
			}
		}
	case Bool:
		switch v := v.(type) {
		case bool:
			return v, nil
		case string:
			if v == "true" || v == "false" {
				return v == "true", nil
			}
		}
	default:
		return v, nil
	}
	return nil, fmt.Errorf("wanted %s, got %s", article(to), describe(v))
}

func article(k Kind) string {
	if k == Int {
		return "an int"
	}
	return "a " + k.String()
}

// describe names a value in an error, shortened.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return strconv.Quote(truncate(v, 60))
	case []any:
		return fmt.Sprintf("a list of %d", len(v))
	case map[string]any:
		return "an object"
	case Text:
		return "a link"
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(data)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
