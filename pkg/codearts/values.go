package codearts

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ArgKind is what an argument of Client.Call is.
type ArgKind string

// The kinds of arguments. What converts without loss is taken: digits for a text, a text of digits for a number.
const (
	ArgText ArgKind = "text"
	ArgInt  ArgKind = "int"
	ArgBool ArgKind = "bool"
	ArgTime ArgKind = "time" // RFC 3339
	ArgJSON ArgKind = "json" // anything, as JSON
)

// Arg is an argument of an operation, under the name the API gives it.
type Arg struct {
	Name, Doc string
	Kind      ArgKind
	Required  bool
}

// arg is an argument that may be left out.
func arg(name string, kind ArgKind, doc string) Arg { return Arg{Name: name, Doc: doc, Kind: kind} }

// need is an argument that may not.
func need(name string, kind ArgKind, doc string) Arg {
	return Arg{Name: name, Doc: doc, Kind: kind, Required: true}
}

// Arguments that several calls have.
var (
	jobIDArg   = need("job_id", ArgText, "build task")
	projectArg = need("project_id", ArgText, "CodeArts project id")
	repoIDArg  = need("repo_id", ArgText, "repository id, digits")
	limitArg   = arg("limit", ArgInt, "most items to bring, the first ones; 100 when not given, at most 1000")
)

// Values are the arguments of one call by name, each of the Go type of its kind: string, int64, bool, time.Time, json.RawMessage.
type Values map[string]any

// Text returns an argument of kind ArgText, "" when it was not given.
func (v Values) Text(name string) string { s, _ := v[name].(string); return s }

// Int returns an argument of kind ArgInt, 0 when it was not given.
func (v Values) Int(name string) int { n, _ := v[name].(int64); return int(n) }

// Bool returns an argument of kind ArgBool, false when it was not given.
func (v Values) Bool(name string) bool { b, _ := v[name].(bool); return b }

// Time returns an argument of kind ArgTime, the zero time when it was not given.
func (v Values) Time(name string) time.Time { t, _ := v[name].(time.Time); return t }

// JSON returns an argument of kind ArgJSON, nil when it was not given.
func (v Values) JSON(name string) json.RawMessage { j, _ := v[name].(json.RawMessage); return j }

// maxItems is the most items of a listing that Call collects.
const maxItems = 1000

// firstItems collects the items of a listing, as many as the argument limit says.
func firstItems[T any](v Values, list iter.Seq2[*T, error]) ([]*T, error) {
	limit := v.Int("limit")
	if _, given := v["limit"]; !given {
		limit = pageSize
	}
	all := []*T{}
	for item, err := range list {
		if err != nil {
			return nil, err
		}
		if all = append(all, item); len(all) == limit {
			break
		}
	}
	return all, nil
}

// orEmpty makes an empty list of nil, which would be null as JSON.
func orEmpty[T any](all []T, err error) ([]T, error) {
	if all == nil && err == nil {
		all = []T{}
	}
	return all, err
}

// Call carries out an operation of the table by its name, with arguments by theirs. A text is taken for every kind of argument if it
// reads as one. The result is of the row's type; what is secret in it has been replaced by "[redacted]". An argument that is missing,
// unknown or of the wrong kind is an *APIError that is ErrInvalid, and nothing is sent.
func (c *Client) Call(ctx context.Context, name string, args map[string]any) (any, error) {
	op := c.op(name)
	if op == nil || op.call == nil {
		return nil, invalid(&Operation{Name: clip(clean(name, 60), 60)}, "there is no such operation")
	}
	values, err := op.values(args)
	if err != nil {
		return nil, invalid(op, "%v", err)
	}
	got, err := op.call(ctx, c, values)
	if err != nil {
		return nil, err
	}
	redact(got)
	return got, nil
}

// values checks arguments against the row.
func (o *Operation) values(args map[string]any) (Values, error) {
	values := make(Values, len(args))
	for name, value := range args {
		i := slices.IndexFunc(o.Args, func(a Arg) bool { return a.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no argument %s; it takes %s", clip(clean(name, 60), 60), o.argNames())
		}
		converted, ok := o.Args[i].Kind.convert(value)
		if !ok {
			return nil, fmt.Errorf("%s is not of kind %s%s", name, o.Args[i].Kind, kindForms[o.Args[i].Kind])
		}
		values[name] = converted
	}
	for _, a := range o.Args {
		_, given := values[a.Name]
		if a.Required && !given {
			return nil, fmt.Errorf("%s is needed: %s", a.Name, a.Doc)
		}
		if limit := values.Int(a.Name); given && a == limitArg && (limit < 1 || limit > maxItems) {
			return nil, fmt.Errorf("limit is %d, and has to be 1 to %d", limit, maxItems)
		}
	}
	return values, nil
}

func (o *Operation) argNames() string {
	if len(o.Args) == 0 {
		return "none"
	}
	names := make([]string, len(o.Args))
	for i, a := range o.Args {
		names[i] = a.Name
	}
	return strings.Join(names, ", ")
}

// kindForms says how a kind is written whose name does not.
var kindForms = map[ArgKind]string{ArgTime: ", which is written like 2026-04-01T08:30:00Z", ArgBool: ", which is true or false"}

// convert returns value as the Go type of the kind.
func (k ArgKind) convert(value any) (any, bool) {
	switch k {
	case ArgText:
		switch v := value.(type) {
		case string:
			return v, true
		case int64:
			return strconv.FormatInt(v, 10), true
		case float64:
			return strconv.FormatInt(int64(v), 10), v == math.Trunc(v) && math.Abs(v) < 1<<53
		}
	case ArgInt:
		switch v := value.(type) {
		case int64:
			return v, true
		case float64:
			return int64(v), v == math.Trunc(v) && math.Abs(v) < 1<<53
		case string:
			n, err := strconv.ParseInt(v, 10, 64)
			return n, err == nil
		}
	case ArgBool:
		switch v := value.(type) {
		case bool:
			return v, true
		case string:
			return v == "true", v == "true" || v == "false"
		}
	case ArgTime:
		switch v := value.(type) {
		case time.Time:
			return v, true
		case string:
			t, err := time.Parse(time.RFC3339, v)
			return t, err == nil
		}
	case ArgJSON:
		if text, ok := value.(string); ok {
			return json.RawMessage(text), json.Valid([]byte(text))
		}
		data, err := json.Marshal(value)
		return json.RawMessage(data), err == nil
	}
	return nil, false
}

// redact hides what is secret in a result: of itself, or of each element of a list.
func redact(result any) {
	if r, ok := result.(interface{ Redact() }); ok {
		r.Redact()
		return
	}
	v := reflect.ValueOf(result)
	if v.Kind() != reflect.Slice {
		return
	}
	for i := range v.Len() {
		item := v.Index(i)
		if item.Kind() != reflect.Pointer {
			item = item.Addr()
		}
		r, ok := item.Interface().(interface{ Redact() })
		if !ok {
			return
		}
		r.Redact()
	}
}
