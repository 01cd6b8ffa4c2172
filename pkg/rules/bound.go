package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// An action that waits takes along the values its templates read, and no types. Its expressions run later on values of any type;
// boundObject keeps, for what was an object, the meaning that a field which is null is not there for has().

// plainMap marks, in the JSON of bindings, a map that was not an object: {"$map": {…}}.
const plainMap = "$map"

var boundObjectType = types.NewObjectType("object", traits.FieldTesterType|traits.IndexerType)

// boundObject is an object of the bindings as the expression language sees it.
type boundObject struct {
	fields map[string]any
	adapt  types.Adapter
}

var (
	_ ref.Val            = (*boundObject)(nil)
	_ traits.Indexer     = (*boundObject)(nil)
	_ traits.FieldTester = (*boundObject)(nil)
)

func (o *boundObject) Get(index ref.Val) ref.Val {
	name, ok := index.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(index)
	}
	v, ok := o.fields[string(name)]
	if !ok {
		return types.NewErr("no such field: %s", name)
	}
	return o.adapt.NativeToValue(v)
}

func (o *boundObject) IsSet(field ref.Val) ref.Val {
	name, ok := field.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(field)
	}
	return types.Bool(o.fields[string(name)] != nil)
}

func (o *boundObject) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("an object is not a %v", t)
}

func (o *boundObject) ConvertToType(t ref.Type) ref.Val {
	if t == types.TypeType {
		return boundObjectType
	}
	return types.NewErr("an object cannot become a %s", t.TypeName())
}

func (o *boundObject) Equal(other ref.Val) ref.Val {
	p, ok := other.(*boundObject)
	return types.Bool(ok && reflect.DeepEqual(o.fields, p.fields))
}

func (o *boundObject) Type() ref.Type { return boundObjectType }
func (o *boundObject) Value() any     { return o }

// bind collects the values that chains read, as JSON. The values are those of act, their types those of the scope.
func bind(chains []chain, act activation, sc *scope) (json.RawMessage, error) {
	tree := map[string]any{}
	for _, c := range chains {
		t, ok := sc.root(c.path[0])
		if !ok || c.path[0] == rootResults {
			continue
		}
		bindChain(tree, c, act[c.path[0]], t)
	}
	var b bytes.Buffer
	if err := writeFields(&b, tree, writeBound); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// whole is a value that is bound as it is, with its type; nothing below it needs to be bound again.
type whole struct {
	value any
	typ   *Type
}

func bindChain(tree map[string]any, c chain, v any, t *Type) {
	at, key := tree, c.path[0]
	for i := 1; ; i++ {
		if _, done := at[key].(whole); done {
			return
		}
		m, isMap := v.(map[string]any)
		if i == len(c.path) || !isMap {
			at[key] = whole{v, t}
			return
		}
		n, ok := at[key].(*boundNode)
		if !ok {
			n = &boundNode{below: map[string]any{}, object: t != nil && t.Kind == Object}
			at[key] = n
		}
		next, there := m[c.path[i]]
		if !there && !n.object {
			return
		}
		at, key, v, t = n.below, c.path[i], next, t.member(c.path[i])
	}
}

// boundNode is an object or a map of which only some members are bound.
type boundNode struct {
	below  map[string]any
	object bool
}

func writeBound(b *bytes.Buffer, v any) error {
	switch v := v.(type) {
	case whole:
		return writeTyped(b, v.value, v.typ)
	case *boundNode:
		if v.object {
			return writeFields(b, v.below, writeBound)
		}
		b.WriteString(`{"` + plainMap + `":`)
		err := writeFields(b, v.below, writeBound)
		b.WriteByte('}')
		return err
	}
	return fmt.Errorf("cannot keep a %T", v)
}

func writeTyped(b *bytes.Buffer, v any, t *Type) error {
	kind := Dyn
	if t != nil {
		kind = t.Kind
	}
	switch v := v.(type) {
	case map[string]any:
		if kind == Object {
			return writeFields(b, v, nil, t.Fields...)
		}
		var elem *Type
		if t != nil {
			elem = t.Elem
		}
		b.WriteString(`{"` + plainMap + `":`)
		err := writeFields(b, v, func(b *bytes.Buffer, v any) error { return writeTyped(b, v, elem) })
		b.WriteByte('}')
		return err
	case []any:
		b.WriteByte('[')
		for i, e := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			var elem *Type
			if t != nil {
				elem = t.Elem
			}
			if err := writeTyped(b, e, elem); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	case float64:
		return writeDouble(b, v)
	}
	data, err := json.Marshal(v)
	b.Write(data)
	return err
}

// writeFields writes a map with sorted keys; a value is written by write, or after its field's type.
func writeFields(b *bytes.Buffer, m map[string]any, write func(*bytes.Buffer, any) error, fields ...TypeField) error {
	byName := map[string]*Type{}
	for i := range fields {
		byName[fields[i].Name] = fields[i].Type
	}
	b.WriteByte('{')
	for i, k := range sortedKeys(m) {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(k)
		if err != nil {
			return err
		}
		b.Write(name)
		b.WriteByte(':')
		if write != nil {
			err = write(b, m[k])
		} else {
			err = writeTyped(b, m[k], byName[k])
		}
		if err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}

// writeDouble keeps a double apart from an int: 17.0, not 17.
func writeDouble(b *bytes.Buffer, f float64) error {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return errors.New("a number is not finite")
	}
	s := strconv.FormatFloat(f, 'g', -1, 64)
	b.WriteString(s)
	if !bytes.ContainsAny([]byte(s), ".e") {
		b.WriteString(".0")
	}
	return nil
}

// unbind reads bindings back.
func unbind(data json.RawMessage, adapt types.Adapter) (activation, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var tree map[string]any
	if err := dec.Decode(&tree); err != nil {
		return nil, fmt.Errorf("bindings: %w", err)
	}
	act := activation{}
	for k, v := range tree {
		act[k] = unbindValue(v, adapt)
	}
	return act, nil
}

func unbindValue(v any, adapt types.Adapter) any {
	switch v := v.(type) {
	case map[string]any:
		if inner, ok := v[plainMap].(map[string]any); ok && len(v) == 1 {
			out := make(map[string]any, len(inner))
			for k, e := range inner {
				out[k] = unbindValue(e, adapt)
			}
			return out
		}
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = unbindValue(e, adapt)
		}
		return &boundObject{fields: out, adapt: adapt}
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = unbindValue(e, adapt)
		}
		return out
	}
	return plain(v)
}
