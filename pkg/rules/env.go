package rules

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"
)

const (
	// MaxExpression is how many characters an expression may have.
	MaxExpression = 8192
	// maxCost bounds what one evaluation may do, in the cost units of CEL: about one for each step.
	maxCost = 1_000_000
	// maxDepth is how deep an expression may nest.
	maxDepth = 64
)

// The names an expression may begin with.
const (
	rootEvent   = "event"
	rootFacts   = "facts"
	rootVars    = "vars"
	rootItem    = "item"
	rootResults = "results"
)

// scope is what an expression may name. A nil type is not there.
type scope struct {
	event, facts, vars, item, results *Type
}

// root is the type of a variable of the scope.
func (s *scope) root(name string) (*Type, bool) {
	var t *Type
	switch name {
	case rootEvent:
		t = s.event
	case rootFacts:
		t = s.facts
	case rootVars:
		t = s.vars
	case rootItem:
		t = s.item
	case rootResults:
		t = s.results
	}
	return t, t != nil
}

func (s *scope) roots() []string {
	var names []string
	for _, n := range []string{rootEvent, rootFacts, rootVars, rootItem, rootResults} {
		if _, ok := s.root(n); ok {
			names = append(names, n)
		}
	}
	return names
}

// key is equal for two scopes in which the same texts have the same meaning.
func (s *scope) key() string {
	var b strings.Builder
	for _, n := range s.roots() {
		t, _ := s.root(n)
		b.WriteString(n + "=")
		if n == rootEvent || n == rootItem {
			writeTypeKey(&b, t)
		} else {
			for i := range t.Fields {
				b.WriteString(t.Fields[i].Name + ":")
				writeTypeKey(&b, t.Fields[i].Type)
				b.WriteByte(',')
			}
		}
		b.WriteByte(';')
	}
	return b.String()
}

func writeTypeKey(b *strings.Builder, t *Type) {
	switch {
	case t == nil:
		b.WriteString("any")
	case t.Kind == Object:
		b.WriteString("{" + t.Name + "}")
	case t.Elem != nil:
		b.WriteString(t.Kind.String() + "<")
		writeTypeKey(b, t.Elem)
		b.WriteByte('>')
	default:
		b.WriteString(t.Kind.String())
	}
}

// of is the part of a scope that a text can name, so that what does not depend on the rest is shared. It may take in more.
func (s scope) of(text string) scope {
	for _, root := range []struct {
		name string
		t    **Type
	}{{rootEvent, &s.event}, {rootFacts, &s.facts}, {rootVars, &s.vars}, {rootItem, &s.item}, {rootResults, &s.results}} {
		if !strings.Contains(text, root.name) && (root.name != rootEvent || !strings.Contains(text, daysUntilFunction)) {
			*root.t = nil
		}
	}
	return s
}

// space makes and keeps environments and programs: an environment for each shape of scope, a program for each text in it. It is used
// by one goroutine while compiling.
type space struct {
	common *cel.Env // libraries and options, without variables
	adapt  *types.Registry
	envs   map[string]*env
	types  []string // types of events, while rules are compiled: then expressions are judged
}

// env is one environment with the programs compiled in it.
type env struct {
	scope   scope
	cel     *cel.Env
	objects map[string]*objectType
	progs   map[string]*program
	types   []string // those of the space
}

func newSpace() (*space, error) {
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, fmt.Errorf("expression types: %w", err)
	}
	opts := []cel.EnvOption{
		cel.StdLib(),
		ext.Strings(), ext.Lists(), ext.Math(), cel.OptionalTypes(),
		cel.DefaultUTCTimeZone(true),
		cel.CrossTypeNumericComparisons(true),
		cel.EnableMacroCallTracking(),
		cel.ParserExpressionSizeLimit(MaxExpression),
		cel.ParserRecursionLimit(2 * maxDepth),
		cel.ExpressionNestingDepthLimit(maxDepth),
		cel.ASTValidators(cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateRegexLiterals()),
	}
	common, err := cel.NewCustomEnv(append(opts, functions()...)...)
	if err != nil {
		return nil, fmt.Errorf("expression environment: %w", err)
	}
	return &space{common: common, adapt: registry, envs: map[string]*env{}}, nil
}

// fresh is a space of the same libraries without what was compiled in this one. Making the libraries is most of the work of compiling
// a small file.
func (s *space) fresh() *space {
	return &space{common: s.common, adapt: s.adapt, envs: map[string]*env{}}
}

// program is a text in a scope. It is compiled once for all scopes that differ only in what it does not name.
func (s *space) program(sc scope, text string) (*program, error) {
	e, err := s.env(sc.of(text))
	if err != nil {
		return nil, err
	}
	if p := e.program(text); len(p.issues) == 0 {
		return p, nil
	}
	if e, err = s.env(sc); err != nil { // what is wrong is explained by all there is
		return nil, err
	}
	return e.program(text), nil
}

// env is the environment of a scope.
func (s *space) env(sc scope) (*env, error) {
	key := sc.key()
	if e, ok := s.envs[key]; ok {
		return e, nil
	}
	p := &provider{Registry: s.adapt, objects: map[string]*objectType{}}
	opts := []cel.EnvOption{cel.CustomTypeAdapter(s.adapt), cel.CustomTypeProvider(p)}
	for _, name := range sc.roots() {
		t, _ := sc.root(name)
		p.add(t)
		opts = append(opts, cel.Variable(name, t.celType()))
	}
	ce, err := s.common.Extend(opts...)
	if err != nil {
		return nil, fmt.Errorf("expression environment: %w", err)
	}
	e := &env{scope: sc, cel: ce, objects: p.objects, progs: map[string]*program{}, types: s.types}
	s.envs[key] = e
	return e, nil
}

// provider tells the expression language about our objects and nothing about messages.
type provider struct {
	*types.Registry
	objects map[string]*objectType
}

type objectType struct {
	typ    *Type
	names  []string
	fields map[string]*types.FieldType
}

func (p *provider) add(t *Type) {
	for t != nil && t.Kind != Object {
		t = t.Elem
	}
	if t == nil || p.objects[t.celName()] != nil {
		return
	}
	o := &objectType{typ: t, fields: make(map[string]*types.FieldType, len(t.Fields))}
	p.objects[t.celName()] = o
	for i := range t.Fields {
		f := &t.Fields[i]
		o.names = append(o.names, f.Name)
		o.fields[f.Name] = &types.FieldType{Type: f.Type.celType(), IsSet: fieldIsSet(f.Name), GetFrom: fieldGet(f.Name)}
		p.add(f.Type)
	}
}

func (p *provider) FindStructType(name string) (*types.Type, bool) {
	if p.objects[name] == nil {
		return nil, false
	}
	return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
}

func (p *provider) FindStructFieldNames(name string) ([]string, bool) {
	o := p.objects[name]
	if o == nil {
		return nil, false
	}
	return slices.Clone(o.names), true
}

func (p *provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	o := p.objects[name]
	if o == nil {
		return nil, false
	}
	f, ok := o.fields[field]
	return f, ok
}

func (p *provider) NewValue(name string, _ map[string]ref.Val) ref.Val {
	return types.NewErr("%s cannot be constructed", name)
}

func fieldIsSet(name string) ref.FieldTester {
	return func(target any) bool {
		m, ok := target.(map[string]any)
		return ok && m[name] != nil
	}
}

func fieldGet(name string) ref.FieldGetter {
	return func(target any) (any, error) {
		m, ok := target.(map[string]any)
		if !ok {
			return nil, errNullSelect
		}
		return m[name], nil
	}
}
