package rules

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
)

// Kind is the kind of a Type.
type Kind uint8

// Kinds of type. A value of any kind may be null.
const (
	Dyn    Kind = iota // anything; expressions on it are checked when they run
	Bool               // bool
	Int                // int64
	Double             // float64
	String             // string
	List               // []any of Elem
	Object             // map[string]any with the named Fields
	Map                // map[string]any of Elem
)

// String is the kind's name as it appears in problems and in the reference.
func (k Kind) String() string {
	switch k {
	case Bool:
		return "bool"
	case Int:
		return "int"
	case Double:
		return "double"
	case String:
		return "string"
	case List:
		return "list"
	case Object:
		return "object"
	case Map:
		return "map"
	}
	return "any"
}

// Type describes a value that expressions may read. It is immutable once it is in a Catalogue.
type Type struct {
	Kind   Kind
	Name   string // of an object: unique within a catalogue
	Doc    string
	Fields []TypeField // of an object, in the order of the Go struct
	Elem   *Type       // of a list or a map
}

// TypeField is one named field of an object.
type TypeField struct {
	Name   string
	Doc    string
	Secret bool     // decodes to "[redacted]"
	Values []string // all values it can have; nil: any
	Type   *Type
}

// Redacted stands for the value of every field marked secret.
const Redacted = "[redacted]"

// Field finds a field of an object by name.
func (t *Type) Field(name string) (*TypeField, bool) {
	if t == nil || t.Kind != Object {
		return nil, false
	}
	for i := range t.Fields {
		if t.Fields[i].Name == name {
			return &t.Fields[i], true
		}
	}
	return nil, false
}

// member is the type of what a name selects from an object or a map, nil when that is not known.
func (t *Type) member(name string) *Type {
	if f, ok := t.Field(name); ok {
		return f.Type
	}
	if t == nil {
		return nil
	}
	return t.Elem
}

// String is the type as people read it: "string", "list of object".
func (t *Type) String() string {
	if t == nil {
		return Dyn.String()
	}
	if (t.Kind == List || t.Kind == Map) && t.Elem != nil {
		return t.Kind.String() + " of " + t.Elem.String()
	}
	return t.Kind.String()
}

// celType is the type as the expression language sees it. Scalars are nullable.
func (t *Type) celType() *types.Type {
	if t == nil {
		return types.DynType
	}
	switch t.Kind {
	case Bool:
		return types.NewNullableType(types.BoolType)
	case Int:
		return types.NewNullableType(types.IntType)
	case Double:
		return types.NewNullableType(types.DoubleType)
	case String:
		return types.NewNullableType(types.StringType)
	case List:
		return types.NewListType(t.Elem.celType())
	case Map:
		return types.NewMapType(types.StringType, t.Elem.celType())
	case Object:
		return types.NewObjectType(t.celName())
	}
	return types.DynType
}

// celName is the object's name in the expression language: one that no expression can say, because a type named event.commits
// would be found before the field of that name.
func (t *Type) celName() string { return "{" + t.Name + "}" }

// TypeFor derives the type of T, named name, from its json tags. `doc:"…"` describes a field, `secret:"true"` marks one whose
// value no expression may see, `values:"a b"` lists the words that are all it can be. A field without a json tag keeps its Go name; json:"-" leaves it out. Pointers are their elements,
// time.Time and everything that marshals to text is a string, json.RawMessage, interfaces and a struct within itself are any.
func TypeFor[T any](name string) *Type { return TypeOf(reflect.TypeFor[T](), name) }

// TypeOf is TypeFor of a type that is known only when the program runs.
func TypeOf(rt reflect.Type, name string) *Type {
	b := typeBuilder{open: map[reflect.Type]bool{}, done: map[reflect.Type]*Type{}}
	return b.build(rt, name)
}

type typeBuilder struct {
	open map[reflect.Type]bool
	done map[reflect.Type]*Type
}

var (
	rawMessageType    = reflect.TypeFor[json.RawMessage]()
	timeType          = reflect.TypeFor[time.Time]()
	textMarshalerType = reflect.TypeFor[encoding.TextMarshaler]()
)

func (b *typeBuilder) build(rt reflect.Type, name string) *Type {
	for rt.Kind() == reflect.Pointer {
		rt = rt.Elem()
	}
	switch {
	case rt == rawMessageType:
		return &Type{Kind: Dyn}
	case rt == timeType, rt.Kind() != reflect.Interface && rt.Implements(textMarshalerType):
		return &Type{Kind: String}
	}
	switch rt.Kind() {
	case reflect.Bool:
		return &Type{Kind: Bool}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return &Type{Kind: Int}
	case reflect.Float32, reflect.Float64:
		return &Type{Kind: Double}
	case reflect.String:
		return &Type{Kind: String}
	case reflect.Slice, reflect.Array:
		if rt.Elem().Kind() == reflect.Uint8 {
			return &Type{Kind: String}
		}
		return &Type{Kind: List, Elem: b.build(rt.Elem(), name)}
	case reflect.Map:
		return &Type{Kind: Map, Elem: b.build(rt.Elem(), name)}
	case reflect.Struct:
		return b.object(rt, name)
	}
	return &Type{Kind: Dyn}
}

func (b *typeBuilder) object(rt reflect.Type, name string) *Type {
	if t, ok := b.done[rt]; ok {
		return t
	}
	if b.open[rt] {
		return &Type{Kind: Dyn}
	}
	b.open[rt] = true
	defer delete(b.open, rt)
	t := &Type{Kind: Object, Name: name}
	b.fields(t, rt, name)
	b.done[rt] = t
	return t
}

func (b *typeBuilder) fields(t *Type, rt reflect.Type, name string) {
	for i := range rt.NumField() {
		f := rt.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && tag == "" {
			et := f.Type
			for et.Kind() == reflect.Pointer {
				et = et.Elem()
			}
			if et.Kind() == reflect.Struct {
				b.fields(t, et, name)
				continue
			}
		}
		if !f.IsExported() || tag == "-" {
			continue
		}
		if tag == "" {
			tag = f.Name
		}
		t.Fields = append(t.Fields, TypeField{
			Name: tag, Doc: f.Tag.Get("doc"), Secret: f.Tag.Get("secret") == "true", Values: strings.Fields(f.Tag.Get("values")), Type: b.build(f.Type, name+"."+tag),
		})
	}
}

// DecodeError says that a JSON value does not fit its type.
type DecodeError struct {
	Path string // dotted path within the value, "" for the value itself
	Want *Type
	Got  string // kind of the JSON value
}

func (e *DecodeError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("want %s, got %s", e.Want, e.Got)
	}
	return fmt.Sprintf("%s: want %s, got %s", e.Path, e.Want, e.Got)
}
