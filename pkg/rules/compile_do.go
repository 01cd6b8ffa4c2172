package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

const (
	maxActions     = 50  // of a rule
	maxFileActions = 100 // of a commit, by CodeArts Repo
	maxRungs       = 50
	minDeadline    = time.Minute
	maxDeadline    = 14 * 24 * time.Hour
)

func actionKinds() []string { return []string{KindCommit, KindBuild, KindNotify, KindAlert} }

// do reads the actions of a rule: first their ids, then what they say.
func (b *ruleCompiler) do(n *yaml.Node) {
	if isNull(n) {
		return
	}
	nodes := b.sequence(n, "do", false)
	if len(nodes) > maxActions {
		b.problem(n, ProblemLimit, "split the rule", "do: %d actions, at most %d are allowed", len(nodes), maxActions)
		return
	}
	if len(nodes) == 0 && n.Kind == yaml.SequenceNode {
		b.problem(n, ProblemKey, "add an action", "do is empty")
	}
	var bodies []*mapping
	places := map[string]*yaml.Node{}
	count := map[string]int{}
	for i, e := range nodes {
		body := b.mapping(e, fmt.Sprintf("do[%d]", i))
		if body == nil {
			continue
		}
		a := &action{pos: b.position(e)}
		b.head(a, body, i, count)
		at := body.get("id")
		if at == nil {
			at = e
		}
		if first, taken := places[a.id]; taken && a.id != "" {
			b.problem(at, ProblemName, fmt.Sprintf("the other is at line %d", first.Line), "do[%d]: the id %q is taken", i, a.id)
		} else {
			places[a.id] = at
		}
		b.rule.actions = append(b.rule.actions, a)
		bodies = append(bodies, body)
	}
	for i, a := range b.rule.actions {
		b.ifs = append(b.ifs, bodies[i].get("if"))
		if a.kind != "" {
			b.body(a, bodies[i], i)
		}
	}
}

// head reads what identifies an action.
func (b *ruleCompiler) head(a *action, m *mapping, i int, count map[string]int) {
	what := fmt.Sprintf("do[%d]", i)
	for _, k := range m.keys {
		switch {
		case slices.Contains(actionKinds(), k) && a.kind == "":
			a.kind = k
		case slices.Contains(actionKinds(), k):
			b.problem(m.key[k], ProblemKey, "make it an action of its own", "%s: one action is of one kind, here are %s and %s", what, a.kind, k)
		}
	}
	rule := slices.DeleteFunc(slices.Clone(ruleKeys.names), func(k string) bool { return k == "when" }) // here it is if
	b.onlyWithin(m, what, []level{{"do", rule}}, actionKeys)
	if a.kind == "" {
		if !slices.ContainsFunc(m.keys, func(k string) bool { return !slices.Contains(besideKind(), k) }) {
			b.problem(m.node, ProblemKey, "add commit:, build:, notify: or alert:", "%s does nothing", what)
		}
		return
	}
	count[a.kind]++
	a.id = a.kind + strconv.Itoa(count[a.kind])
	if n := m.get("id"); n != nil {
		if text, ok := b.scalar(n, what+".id"); ok && b.identifier(n, what+".id") {
			a.id = text
		}
	}
}

// body reads what an action says. Its expressions may name the results of the commits and builds before it.
func (b *ruleCompiler) body(a *action, m *mapping, i int) {
	what := fmt.Sprintf("do[%d]", i)
	sc := b.scope
	results := &Type{Kind: Object, Name: rootResults}
	for _, before := range b.rule.actions[:i] {
		if hasResult(before.kind) {
			results.Fields = append(results.Fields, TypeField{Name: before.id, Type: b.results[before.kind]})
		}
	}
	if len(results.Fields) > 0 {
		sc.results = results
	}
	a.scope = &sc
	if n := m.get("deadline"); n != nil {
		if d := b.duration(n, what+".deadline", 0, minDeadline, maxDeadline); d > 0 {
			a.deadline = brief(d)
		}
	}
	mark := len(*b.source.problems)
	if n := m.get("if"); n != nil {
		a.cond = b.bare(n, what+".if", sc)
		b.wants(a.cond, Bool)
	}
	if n := m.get(a.kind); n.Kind != yaml.MappingNode {
		needed := bodyKeys(a.kind).needed
		b.problem(n, ProblemSyntax, "write under it "+strings.Join(needed, ", ")+", each with a colon", "%s.%s: wanted a mapping, got %s", what, a.kind, kindOf(n))
	} else {
		body := b.mapping(n, what+"."+a.kind)
		w := &actionCompiler{ruleCompiler: b, what: what + "." + a.kind, sc: sc}
		switch a.kind {
		case KindCommit:
			a.spec.Commit = w.commit(body)
		case KindBuild:
			a.spec.Build = w.build(body)
		case KindNotify:
			a.spec.Notify = w.notify(body)
		case KindAlert:
			a.spec.Alert = w.alert(body)
		}
	}
	b.laterResults(i, mark)
	b.waits(a)
}

// laterResults says, of results that were not found, whether the action comes later or is of another kind.
func (b *ruleCompiler) laterResults(i, mark int) {
	problems := *b.source.problems
	for k := mark; k < len(problems); k++ {
		p := &problems[k]
		for j, other := range b.rule.actions {
			if other.id == "" || !strings.Contains(p.Message, "results."+other.id+" ") && !strings.HasSuffix(p.Message, `unknown name "results"`) {
				continue
			}
			switch {
			case strings.HasSuffix(p.Message, `unknown name "results"`):
				p.Hint = "results are those of commits and builds before this action"
			case !hasResult(other.kind):
				p.Hint = fmt.Sprintf("%s is of kind %s; only commits and builds have a result", other.id, other.kind)
			case j == i:
				p.Hint = "an action cannot use its own result"
			case j > i:
				p.Hint = fmt.Sprintf("%s comes later, at line %d; put it before this action", other.id, other.pos.Line)
			}
		}
	}
}

// waits finds the results an action names, and all that it reads.
func (b *ruleCompiler) waits(a *action) {
	var exprs []*expr
	for _, t := range a.spec.templates() {
		exprs = append(exprs, t.tmpl.exprs()...)
	}
	if a.cond != nil {
		exprs = append(exprs, a.cond)
	}
	for _, x := range exprs {
		names, all := x.prog.members(rootResults)
		if all {
			b.report(x.pos, ProblemName, "write results.<id>", "%s: name the action whose result is meant", x.field)
		}
		for _, name := range names {
			if !slices.Contains(a.waits, name) {
				a.waits = append(a.waits, name)
			}
		}
		a.chains = append(a.chains, x.prog.chains...)
	}
	slices.Sort(a.waits)
	a.asks = a.cond.asksFailure()
}

// actionCompiler reads the body of one action.
type actionCompiler struct {
	*ruleCompiler
	what string
	sc   scope
}

func (w *actionCompiler) at(name string) string { return w.what + "." + name }

func (w *actionCompiler) text(m *mapping, name string) *template {
	if n := m.get(name); !isNull(n) {
		return w.textTemplate(n, w.at(name), w.sc)
	}
	return nil
}

func (w *actionCompiler) commit(m *mapping) *commitSpec {
	w.onlyWithin(m, w.what, []level{{KindCommit, besideKind()}}, commitKeys)
	w.required(m, w.what, commitKeys)
	c := &commitSpec{
		Connection: w.connection(m.get("connection"), m.node, w.what),
		RepoID:     w.text(m, "repo_id"), Branch: w.text(m, "branch"), StartBranch: w.text(m, "start_branch"),
		Message: w.text(m, "message"), AuthorName: w.text(m, "author_name"), AuthorEmail: w.text(m, "author_email"),
		Force: w.boolean(m.get("force"), w.at("force")), AtLeastOnce: w.boolean(m.get("at_least_once"), w.at("at_least_once")),
	}
	w.known(c.RepoID, m.get("repo_id"), checkRepoID, "1")
	w.known(c.Branch, m.get("branch"), checkBranch, anything)
	w.known(c.StartBranch, m.get("start_branch"), checkBranch, anything)
	w.known(c.Message, m.get("message"), checkMessage, anything)
	w.known(c.AuthorName, m.get("author_name"), checkAuthor, anything)
	w.known(c.AuthorEmail, m.get("author_email"), checkAuthor, anything)
	nodes := w.sequence(m.get("actions"), w.at("actions"), false)
	if n := m.get("actions"); n != nil && n.Kind == yaml.SequenceNode && (len(nodes) == 0 || len(nodes) > maxFileActions) {
		w.problem(n, ProblemLimit, "", "%s: %d file actions, a commit takes 1 to %d", w.what, len(nodes), maxFileActions)
		return c
	}
	unfenced := ""
	for i, n := range nodes {
		file := &actionCompiler{ruleCompiler: w.ruleCompiler, what: fmt.Sprintf("%s.actions[%d]", w.what, i), sc: w.sc}
		spec, ok := file.fileAction(n)
		if ok {
			file.onlyOnce(spec.FilePath, c.Actions)
			c.Actions = append(c.Actions, spec)
		}
		if spec.Action == "chmod" {
			unfenced = "chmod"
		}
	}
	if c.Force {
		unfenced = "force"
	}
	if unfenced != "" && !c.AtLeastOnce {
		w.problem(m.node, ProblemValue, "add at_least_once: true if doing it twice is harmless", "%s: %s cannot be kept from happening twice after a crash", w.what, unfenced)
	}
	return c
}

func (w *actionCompiler) fileAction(n *yaml.Node) (spec fileSpec, ok bool) {
	m := w.mapping(n, w.what)
	if m == nil {
		return spec, false
	}
	w.onlyWithin(m, w.what, []level{{"actions", commitKeys.names}, {KindCommit, besideKind()}}, fileActionKeys)
	w.required(m, w.what, fileActionKeys)
	if !isNull(m.get("action")) {
		spec.Action = w.oneOf(m.get("action"), w.at("action"), fileActionKeys.words("action")...)
	}
	if n := m.get("encoding"); !isNull(n) {
		spec.Encoding = w.oneOf(n, w.at("encoding"), fileActionKeys.words("encoding")...)
	}
	spec.FilePath, spec.PreviousPath = w.text(m, "file_path"), w.text(m, "previous_path")
	spec.Content, spec.LastCommitID = w.text(m, "content"), w.text(m, "last_commit_id")
	if n := m.get("content"); n != nil && spec.Content == nil && n.Kind == yaml.ScalarNode && n.Value == "" {
		spec.Content = &template{pos: w.position(n), field: w.at("content")}
	}
	w.known(spec.FilePath, m.get("file_path"), checkPath, anything)
	w.known(spec.PreviousPath, m.get("previous_path"), checkPath, anything)
	w.known(spec.LastCommitID, m.get("last_commit_id"), checkCommitID, anything)
	if v := m.get("execute_filemode"); v != nil {
		executable := w.boolean(v, w.at("execute_filemode"))
		spec.Executable = &executable
	}
	for _, c := range fileActionKeys.Cases {
		if c.Word == spec.Action {
			w.fileCase(m, &c)
		}
	}
	return spec, spec.Action != ""
}

// fileCase reports what a file action lacks, and what is too much.
func (w *actionCompiler) fileCase(m *mapping, c *Case) {
	for _, name := range c.Needs {
		if n := m.get(name); n == nil || isNull(n) && name != "content" {
			w.problem(m.node, ProblemKey, "add "+name+":", "%s: %s needs %s", w.what, c.Word, name)
		}
	}
	for _, name := range m.keys {
		if slices.Contains(c.Without, name) {
			w.problem(m.key[name], ProblemKey, "leave it out", "%s: %s has no %s", w.what, c.Word, name)
		}
	}
}

func (w *actionCompiler) notify(m *mapping) *notifySpec {
	w.onlyWithin(m, w.what, []level{{KindNotify, besideKind()}}, notifyKeys)
	w.required(m, w.what, notifyKeys)
	n := &notifySpec{To: w.targets(m), Title: w.text(m, "title"), Text: w.text(m, "text"), Link: w.text(m, "link")}
	w.known(n.Title, m.get("title"), checkTitle, anything)
	w.known(n.Link, m.get("link"), checkLinkOrNone, anyLink(n.Link))
	return n
}

func (w *actionCompiler) alert(m *mapping) *alertSpec {
	w.onlyWithin(m, w.what, []level{{KindAlert, besideKind()}}, alertKeys)
	w.required(m, w.what, alertKeys)
	a := &alertSpec{
		Key: w.text(m, "key"), Phase: w.text(m, "phase"), To: w.targets(m), At: w.rungs(m.get("at")),
		Title: w.text(m, "title"), Text: w.text(m, "text"), Link: w.text(m, "link"), Countdown: w.text(m, "countdown"),
	}
	w.known(a.Key, m.get("key"), checkAlertKey, anything)
	w.known(a.Phase, m.get("phase"), checkAlertKey, anything)
	w.known(a.Title, m.get("title"), checkTitle, anything)
	w.known(a.Link, m.get("link"), checkLinkOrNone, anyLink(a.Link))
	w.known(a.Countdown, m.get("countdown"), func(s string) error {
		_, err := convert(s, Int)
		return err
	}, "")
	if x := a.Countdown.single(); x != nil {
		if k := kindOfExpr(x.prog.out); k == Bool {
			w.report(x.pos, ProblemExpression, "", "%s: wanted a number of days, the expression gives %s", x.field, k)
		}
	}
	return a
}

// rungs reads the days left at which an alert rings.
func (w *actionCompiler) rungs(n *yaml.Node) []int {
	nodes := w.sequence(n, w.at("at"), false)
	if n != nil && n.Kind == yaml.SequenceNode && (len(nodes) == 0 || len(nodes) > maxRungs) {
		w.problem(n, ProblemLimit, "", "%s: %d rungs, an alert takes 1 to %d", w.at("at"), len(nodes), maxRungs)
	}
	var out []int
	for _, e := range w.filled(nodes, w.at("at")) {
		text, ok := w.scalar(e, w.at("at"))
		if !ok {
			continue
		}
		days, err := strconv.Atoi(text)
		switch {
		case err != nil || days < 0 || days > 3650:
			w.problem(e, ProblemValue, "days left, from 0 to 3650", "%s: %q is not a number of days", w.at("at"), text)
		case slices.Contains(out, days):
			w.problem(e, ProblemValue, "leave one out", "%s: %d is there twice", w.at("at"), days)
		default:
			out = append(out, days)
		}
	}
	return out
}

// targets reads to:. Names are literal, so that no event can choose who is told.
func (w *actionCompiler) targets(m *mapping) []string {
	n := m.get("to")
	nodes := w.sequence(n, w.at("to"), true)
	if n != nil && n.Kind == yaml.SequenceNode && len(nodes) == 0 {
		w.problem(n, ProblemValue, "name at least one target", "%s is empty", w.at("to"))
	}
	var out []string
	for _, e := range w.filled(nodes, w.at("to")) {
		name, ok := w.scalar(e, w.at("to"))
		switch {
		case !ok:
		case name == "":
			w.problem(e, ProblemValue, "write the target's name", "%s: a name is empty", w.at("to"))
		case strings.Contains(name, "://"):
			w.problem(e, ProblemValue, robotRemedy, "%s: an address is no name of a target", w.at("to"))
		case strings.Contains(name, openTemplate):
			w.problem(e, ProblemValue, "write the target's name; use several actions with if: to choose", "%s: a target cannot be chosen by an expression", w.at("to"))
		case w.cat.Targets != nil && !slices.Contains(w.cat.Targets, name):
			w.problem(e, ProblemName, didYouMean(name, w.cat.Targets), "%s: there is no target %q", w.at("to"), name)
		case slices.Contains(out, name):
			w.problem(e, ProblemName, "leave one out", "%s: %q is there twice", w.at("to"), name)
		default:
			out = append(out, name)
		}
	}
	return out
}
