package rules

import (
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

const (
	maxFacts   = 50
	maxEvery   = 24 * time.Hour
	maxTimeout = 14 * 24 * time.Hour // shorter than records are kept
)

// ruleCompiler reads what a rule fetches and does.
type ruleCompiler struct {
	*fileCompiler
	rule      *Rule
	factsType *Type
	scope     scope                 // of when
	untils    map[string]*yaml.Node // by the name of the fact
	ifs       []*yaml.Node          // of the actions; nil: there is none
}

// fetches reads the facts of a rule: first their names, kinds and types, then the expressions that may name any of them.
func (b *ruleCompiler) fetches(n *yaml.Node) {
	b.factsType = &Type{Kind: Object, Name: rootFacts}
	if isNull(n) {
		return
	}
	m := b.mapping(n, "fetch")
	if m == nil {
		return
	}
	if len(m.keys) > maxFacts {
		b.problem(n, ProblemLimit, "split the rule", "fetch: %d facts, at most %d are allowed", len(m.keys), maxFacts)
		return
	}
	var bodies []*mapping
	for _, name := range m.keys {
		b.identifier(m.key[name], "fetch")
		body := b.mapping(m.values[name], "fetch."+name)
		fe := &fetch{name: name, pos: b.position(m.key[name])}
		t := &Type{Kind: Dyn}
		if body != nil {
			if fe.kind = b.factKind(m.key[name], body, fe); fe.kind != nil && fe.kind.Result != nil {
				t = fe.kind.Result
			}
			if body.get("for_each") != nil {
				t = b.listOf(t)
			}
		}
		fe.result = t
		b.factsType.Fields = append(b.factsType.Fields, TypeField{Name: name, Type: t})
		b.rule.fetches = append(b.rule.fetches, fe)
		bodies = append(bodies, body)
	}
	for i, fe := range b.rule.fetches {
		if bodies[i] != nil {
			b.fetchBody(fe, bodies[i])
		}
	}
	b.cycles()
}

// factKind finds the one key of a fact that names its kind.
func (b *ruleCompiler) factKind(key *yaml.Node, body *mapping, fe *fetch) *FactKind {
	var found *FactKind
	var unknown []string
	for _, k := range body.keys {
		kind := b.cat.fact(k)
		switch {
		case slices.Contains(factKeys.names, k):
		case kind == nil:
			unknown = append(unknown, k)
		case found != nil:
			b.problem(body.key[k], ProblemFact, "give each a name of its own under fetch:", "fetch.%s: one fact is fetched under one name, here are %s and %s", fe.name, found.Name, k)
		default:
			found = kind
		}
	}
	for _, k := range unknown {
		if found != nil && b.tooDeep(body.key[k], "fetch."+fe.name, []level{{"fetch", ruleKeys.names}}) {
			continue
		}
		if found != nil {
			b.unknownKey(body.key[k], "fetch."+fe.name, factKeys.names)
			continue
		}
		known := append(b.cat.factNames(), factKeys.names...)
		b.problem(body.key[k], ProblemFact, didYouMean(k, known), "fetch.%s: there is no fact %q", fe.name, k)
	}
	if found == nil && len(unknown) == 0 {
		b.problem(key, ProblemFact, "one of: "+strings.Join(b.cat.factNames(), ", "), "fetch.%s does not say which fact", fe.name)
	}
	return found
}

func (b *ruleCompiler) fetchBody(fe *fetch, body *mapping) {
	what := "fetch." + fe.name
	sc := scope{event: b.event, facts: b.factsType, vars: b.varsType}
	if n := body.get("connection"); fe.kind != nil {
		fe.connection = b.connection(n, body.key[fe.kind.Name], what)
	} else if !isNull(n) {
		fe.connection = b.connection(n, n, what)
	}
	if n := body.get("for_each"); n != nil {
		sc.item = &Type{Kind: Dyn}
		if m := b.mapping(n, what+".for_each"); m != nil {
			b.onlyWithin(m, what+".for_each", []level{{"for_each", append(b.cat.factNames(), factKeys.names...)}}, factEachKeys)
			b.required(m, what+".for_each", factEachKeys)
			outer := sc
			outer.item = nil
			if in := m.get("in"); !isNull(in) {
				fe.forEach = b.bare(in, what+".for_each.in", outer)
			}
			if b.wants(fe.forEach, List) {
				sc.item = b.elementOf(fe.forEach)
			}
		}
	}
	if fe.kind != nil {
		b.arguments(fe, body.get(fe.kind.Name), sc)
	}
	sc.item = nil
	if n := body.get("until"); n != nil {
		fe.until = b.bare(n, what+".until", sc)
		b.untils[fe.name] = n
		b.wants(fe.until, Bool)
	}
	fe.every = b.duration(body.get("every"), what+".every", DefaultEvery, time.Second, maxEvery)
	fe.timeout = b.duration(body.get("timeout"), what+".timeout", DefaultTimeout, time.Second, maxTimeout)
	fe.onTimeout = b.oneOf(body.get("on_timeout"), what+".on_timeout", factKeys.words("on_timeout")...)
	b.dependencies(fe)
}

// connection reads the name of a connection; at is what needs one.
func (b *ruleCompiler) connection(n, at *yaml.Node, what string) string {
	known := b.cat.Connections
	if isNull(n) {
		if known != nil && !slices.Contains(known, DefaultConnection) {
			hint := "configure codearts." + DefaultConnection
			if len(known) > 0 {
				hint = "add connection: (one of " + strings.Join(slices.Sorted(slices.Values(known)), ", ") + "), or " + hint
			}
			b.problem(at, ProblemName, hint, "%s names no connection, and there is none named %q", what, DefaultConnection)
		}
		return ""
	}
	name, ok := b.constantText(n, what+".connection")
	if !ok {
		return ""
	}
	if known != nil && !slices.Contains(known, name) {
		b.problem(n, ProblemName, didYouMean(name, known), "%s.connection: there is no connection %q", what, name)
	}
	return name
}

func (b *ruleCompiler) arguments(fe *fetch, n *yaml.Node, sc scope) {
	what := "fetch." + fe.name + "." + fe.kind.Name
	m := &mapping{node: n, key: map[string]*yaml.Node{}, values: map[string]*yaml.Node{}}
	if !isNull(n) {
		if m = b.mapping(n, what); m == nil {
			return
		}
	}
	for _, name := range m.keys {
		arg := fe.kind.arg(name)
		if arg == nil && b.tooDeep(m.key[name], what, []level{{fe.kind.Name, factKeys.names}}) {
			continue
		}
		if arg == nil {
			b.problem(m.key[name], ProblemFact, didYouMean(name, fe.kind.argNames()), "%s has no argument %q", fe.kind.Name, name)
			continue
		}
		value := b.template(m.values[name], what+"."+name, sc)
		if value == nil {
			continue
		}
		b.argumentKind(arg, value, m.values[name], what+"."+name)
		fe.args = append(fe.args, argument{arg: arg, value: value})
	}
	for i := range fe.kind.Args {
		if a := &fe.kind.Args[i]; a.Required && isNull(m.get(a.Name)) {
			at := m.key[a.Name]
			if at == nil {
				at = n
			}
			if isNull(at) {
				b.report(fe.pos, ProblemFact, "add "+a.Name+":", "%s needs the argument %q", fe.kind.Name, a.Name)
				continue
			}
			b.problem(at, ProblemFact, "add "+a.Name+":", "%s needs the argument %q", fe.kind.Name, a.Name)
		}
	}
}

// argumentKind reports what can be known of an argument when the rule is loaded.
func (b *ruleCompiler) argumentKind(arg *Arg, value *template, n *yaml.Node, what string) {
	if value.constant() {
		if _, err := convert(value.src, arg.Type); err != nil {
			b.problem(n, ProblemFact, "", "%s: %v", what, err)
		}
		return
	}
	if v, known := b.valueOf(value); known {
		if _, err := convert(v, arg.Type); err != nil {
			b.problem(n, ProblemRender, "", "%s: %v", what, err)
		}
		return
	}
	x := value.single()
	if x == nil {
		return
	}
	if x.prog.out.IsExactType(linkType) {
		b.report(x.pos, ProblemFact, "", "%s: wanted %s, the expression gives a link", what, article(arg.Type))
		return
	}
	got := kindOfExpr(x.prog.out)
	fits := got == Dyn || got == arg.Type || got == String || arg.Type == Dyn ||
		arg.Type == String && (got == Int || got == Bool || got == Double) ||
		(arg.Type == Int || arg.Type == Double) && (got == Int || got == Double)
	if !fits {
		b.report(x.pos, ProblemFact, "", "%s: wanted %s, the expression gives %s", what, article(arg.Type), got)
	}
}

// dependencies finds the facts a fact needs before it can be fetched or judged.
func (b *ruleCompiler) dependencies(fe *fetch) {
	need := func(x *expr, self bool) {
		if x == nil {
			return
		}
		names, all := x.prog.members(rootFacts)
		if all {
			b.report(x.pos, ProblemFact, "write facts.<name>", "%s: name the fact that is meant", x.field)
		}
		for _, name := range names {
			switch {
			case name != fe.name:
				if !slices.Contains(fe.after, name) {
					fe.after = append(fe.after, name)
				}
			case !self:
				b.report(x.pos, ProblemFact, "", "%s: %s cannot be fetched with what it brings itself", x.field, name)
			}
		}
	}
	need(fe.forEach, false)
	for _, a := range fe.args {
		for _, x := range a.value.exprs() {
			need(x, false)
		}
	}
	need(fe.until, true)
	slices.Sort(fe.after)
}

// cycles reports facts that need each other.
func (b *ruleCompiler) cycles() {
	byName := map[string]*fetch{}
	for _, fe := range b.rule.fetches {
		byName[fe.name] = fe
	}
	const (
		open = iota + 1
		done
	)
	state := map[string]int{}
	var visit func(fe *fetch, path []string)
	visit = func(fe *fetch, path []string) {
		path = append(path, fe.name)
		state[fe.name] = open
		for _, name := range fe.after {
			switch next := byName[name]; {
			case next == nil || state[name] == done:
			case state[name] == open:
				circle := append(slices.Clone(path[slices.Index(path, name):]), name)
				b.report(fe.pos, ProblemFact, "", "fetch: these facts need each other: %s", strings.Join(circle, " → "))
			default:
				visit(next, path)
			}
		}
		state[fe.name] = done
	}
	for _, fe := range b.rule.fetches {
		if state[fe.name] == 0 {
			visit(fe, nil)
		}
	}
}

// forEach reads the for_each of a rule and adds item to the scope.
func (b *ruleCompiler) forEach(n *yaml.Node) {
	if n == nil {
		return
	}
	outer := b.scope
	b.scope.item = &Type{Kind: Dyn}
	m := b.mapping(n, "for_each")
	if m == nil {
		return
	}
	b.onlyWithin(m, "for_each", []level{{"for_each", ruleKeys.names}}, eachKeys)
	b.required(m, "for_each", eachKeys)
	fe := &forEach{}
	if in := m.get("in"); !isNull(in) {
		fe.in = b.bare(in, "for_each.in", outer)
		if b.wants(fe.in, List) {
			b.scope.item = b.elementOf(fe.in)
		}
	}
	if key := m.get("key"); !isNull(key) {
		fe.key = b.bare(key, "for_each.key", b.scope)
		b.wants(fe.key, String)
	}
	b.rule.forEach = fe
}
