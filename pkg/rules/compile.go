package rules

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/pkg/events"
)

// Compile reads, checks and compiles rule files. It gives a ruleset, or nil when any problem is an error; the problems are all of
// all files, sorted. The same files and catalogue give the same ruleset and the same problems. A file may be empty.
func Compile(files []File, cat *Catalogue) (*Ruleset, Problems) {
	sp, err := newSpace()
	if err != nil {
		return nil, Problems{{Message: err.Error(), Kind: ProblemExpression}}
	}
	return compileIn(sp, files, cat)
}

// compileIn is Compile in a space in which nothing was compiled yet.
func compileIn(sp *space, files []File, cat *Catalogue) (*Ruleset, Problems) {
	if cat == nil {
		cat = &Catalogue{}
	}
	files = slices.SortedStableFunc(slices.Values(files), func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	c := newCompiler(sp, cat)
	sp.types = c.types
	for i := range files {
		s := &source{name: files[i].Name, data: files[i].Data, problems: &c.problems}
		if i > 0 && files[i-1].Name == files[i].Name {
			s.report(Position{File: s.name, Line: 1, Col: 1}, ProblemName, "", "the file %s is given twice", s.name)
			continue
		}
		c.file(s)
	}
	sp.forgetJudgements()
	c.problems.sort()
	if c.problems.HasErrors() {
		return nil, c.problems
	}
	return c.ruleset(files), c.problems
}

// Digest is what a ruleset of these files is named by.
func Digest(files []File) string {
	sorted := slices.SortedStableFunc(slices.Values(files), func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	h := sha256.New()
	var n [8]byte
	add := func(data []byte) {
		binary.BigEndian.PutUint64(n[:], uint64(len(data)))
		h.Write(n[:])
		h.Write(data)
	}
	for _, f := range sorted {
		add([]byte(f.Name))
		add(f.Data)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// compiler is one run of Compile.
type compiler struct {
	cat      *Catalogue
	space    *space
	problems Problems
	rules    []*Rule
	byName   map[string]*Rule
	same     map[string]*Rule // by what they say
	schedule map[string]Schedule
	types    []string // event types
	event    *Type
	results  map[string]*Type // of results.<id>, by kind of action
	lists    map[*Type]*Type
}

func newCompiler(sp *space, cat *Catalogue) *compiler {
	c := &compiler{
		cat: cat, space: sp, byName: map[string]*Rule{}, same: map[string]*Rule{}, schedule: map[string]Schedule{}, types: cat.EventTypes, event: cat.Event,
		results: map[string]*Type{KindCommit: resultType(KindCommit), KindBuild: resultType(KindBuild)}, lists: map[*Type]*Type{},
	}
	if c.types == nil {
		c.types = events.Types()
	}
	if c.event == nil {
		c.event = &Type{Kind: Dyn}
	}
	return c
}

func (c *compiler) ruleset(files []File) *Ruleset {
	rs := &Ruleset{digest: Digest(files), files: files, rules: c.rules, byName: c.byName}
	var cs []criteria
	used := map[string]bool{}
	for _, r := range c.rules {
		if r.mode == ModeOff {
			continue
		}
		rs.live = append(rs.live, r)
		cs = append(cs, r.criteria)
		if r.latestOnly {
			rs.latest.add(&r.criteria)
		}
		if id := r.criteria.schedule; id != "" && !used[id] {
			used[id] = true
			rs.schedules = append(rs.schedules, c.schedule[id])
		}
	}
	slices.SortFunc(rs.schedules, func(a, b Schedule) int { return cmp.Compare(a.ID, b.ID) })
	rs.index = newIndex(cs)
	return rs
}

// listOf is the type of a list of t, one for each t, so that scopes stay comparable.
func (c *compiler) listOf(t *Type) *Type {
	if t != nil && t.Kind == List {
		return t
	}
	if l, ok := c.lists[t]; ok {
		return l
	}
	l := &Type{Kind: List, Elem: t}
	c.lists[t] = l
	return l
}

// theFile is what problems call a file as a whole.
const theFile = "the file"

// file reads one file.
func (c *compiler) file(s *source) {
	doc := s.document()
	s.secrets()
	if doc == nil || isNull(doc) {
		return
	}
	m := s.mapping(doc, theFile)
	if m == nil {
		return
	}
	s.only(m, theFile, fileKeys)
	f := &fileCompiler{compiler: c, source: s, vars: map[string]any{}, varsType: &Type{Kind: Object, Name: rootVars}}
	f.varsNode = m.get("vars")
	f.readVars(f.varsNode)
	for i, n := range s.sequence(m.get("rules"), "rules", false) {
		f.rule(n, i)
	}
}

// fileCompiler reads the rules of one file.
type fileCompiler struct {
	*compiler
	*source
	vars       map[string]any
	varsType   *Type
	varsNode   *yaml.Node
	varsBroken bool // something was reported about them
}

func (f *fileCompiler) readVars(n *yaml.Node) {
	if isNull(n) {
		return
	}
	before := len(f.compiler.problems)
	defer func() { f.varsBroken = len(f.compiler.problems) > before }()
	m := f.mapping(n, "vars")
	if m == nil {
		return
	}
	for _, name := range m.keys {
		if !f.identifier(m.key[name], "vars") {
			continue
		}
		v, t, ok := f.constant(m.values[name], "vars."+name)
		if !ok {
			t = &Type{Kind: Dyn}
		}
		f.vars[name] = v
		f.varsType.Fields = append(f.varsType.Fields, TypeField{Name: name, Type: t})
	}
}

// constant is the value of a YAML node that holds no templates.
func (f *fileCompiler) constant(n *yaml.Node, what string) (any, *Type, bool) {
	switch n.Kind {
	case yaml.SequenceNode:
		return f.constantList(n, what)
	case yaml.MappingNode:
		m := f.mapping(n, what)
		out := map[string]any{}
		ok := true
		for _, k := range m.keys {
			v, _, fine := f.constant(m.values[k], what+"."+k)
			out[k], ok = v, ok && fine
		}
		return out, &Type{Kind: Map, Elem: &Type{Kind: Dyn}}, ok
	}
	var v any
	if err := n.Decode(&v); err != nil {
		f.problem(n, ProblemSyntax, "", "%s: %q is not a %s", what, n.Value, n.Tag)
		return nil, nil, false
	}
	switch v := v.(type) {
	case int:
		return int64(v), &Type{Kind: Int}, true
	case int64:
		return v, &Type{Kind: Int}, true
	case float64:
		return v, &Type{Kind: Double}, true
	case bool:
		return v, &Type{Kind: Bool}, true
	case nil:
		f.problem(n, ProblemValue, "give it a value", "%s is empty", what)
		return nil, nil, false
	}
	if pieces, unclosed := splitTemplate(n.Value); unclosed >= 0 || slices.ContainsFunc(pieces, func(p piece) bool { return p.isExpr }) {
		f.problem(n, ProblemValue, "use the expression where the value is used", "%s: vars are constants and hold no ${{ }}", what)
		return nil, nil, false
	}
	return n.Value, &Type{Kind: String}, true
}

func (f *fileCompiler) constantList(n *yaml.Node, what string) (any, *Type, bool) {
	out := []any{}
	var elem *Type
	ok := true
	for i, e := range n.Content {
		v, t, fine := f.constant(e, fmt.Sprintf("%s[%d]", what, i))
		out, ok = append(out, v), ok && fine
		switch {
		case elem == nil:
			elem = t
		case t == nil || t.Kind != elem.Kind || t.Kind == List:
			elem = &Type{Kind: Dyn}
		}
	}
	if elem == nil {
		elem = &Type{Kind: Dyn}
	}
	return out, &Type{Kind: List, Elem: elem}, ok
}
