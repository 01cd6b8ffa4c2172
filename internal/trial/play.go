package trial

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// Outcomes of a play beside those of a decision.
const (
	NotCandidate = "not_candidate" // on or match does not take the event, or the rule is off
	Waits        = "waits"         // a fact is not ready, and the play has no patience
	Failed       = "failed"        // a worker would leave a dead letter
	NeedsFacts   = "needs_facts"   // a fact was asked for that is not given
)

const (
	// DefaultChainDepth is up to which depth rules with on_own_commits see events of our own commits, as in a worker.
	DefaultChainDepth = 3
	// maxCalls is how many calls the facts of one run may take, as in a worker.
	maxCalls = 2000
)

// Facts answers what a run asks for.
type Facts interface {
	// Ask answers one call. ask counts from 1 the passes in which the run asked for this fact; calls of a for_each are of one pass.
	Ask(call rules.Call, ask int) Reply
	// Settled tells whether the answers stay the same after that many asks.
	Settled(fact string, ask int) bool
}

// Reply is the answer to one call: a value, an error, that there is none yet, or that nobody said what to answer.
type Reply struct {
	Value    json.RawMessage
	NotReady bool
	Missing  bool
	Why      string // of Missing; "": nothing is given
	Err      error
}

// Input is one event, one rule that is to be played on it, and all that is known around them.
type Input struct {
	Ruleset *rules.Ruleset
	Rule    *rules.Rule
	Event   *events.Event
	View    *events.View // of the event; its chain is not looked at
	Facts   Facts
	Now     time.Time
	// OwnCommit is the chain of a commit of ours, of depth 0 when it is not ours.
	OwnCommit  func(id string) events.Chain
	ChainDepth int // 0: DefaultChainDepth
	// Impatient plays end where a worker would wait; others let the time pass.
	Impatient bool
	Watch     rules.Watcher // nil: nobody watches
	// Memory is of the events before; nil: there were none, and nothing is remembered.
	Memory *Memory
	// Arrived is told the time at the beginning and each time the run has waited, and tells Memory what was accepted until then; nil:
	// nothing was.
	Arrived func(now time.Time)
}

// Played is what a rule makes of an event.
type Played struct {
	// Outcome is that of the decision, or NotCandidate, Waits, Failed or NeedsFacts.
	Outcome string
	Reason  string // of the outcome, without places in rule files
	Class   string // of the dead letter of a Failed one
	Err     error  // of a Failed one, as it was
	// Match says of on and match whether they take the event.
	Match    rules.Explanation
	Decision *rules.Decision // nil when none was reached
	Calls    []rules.Call    // of the last pass over the facts
	Waited   time.Duration
	Missing  string // fact that is not given, of NeedsFacts
}

// Explain writes why, as millrace rules explain does.
func (p *Played) Explain() string {
	var b strings.Builder
	p.Match.Render(&b)
	if p.Decision == nil {
		return b.String()
	}
	for i := range p.Decision.Items {
		item := &p.Decision.Items[i]
		if item.Key != "" {
			fmt.Fprintf(&b, "item %s\n", item.Key)
		}
		item.Explanation.Render(&b)
	}
	return b.String()
}

// Play plays one rule on one event as a worker runs it, with facts that are given. Nothing is fetched and nothing carried out.
func Play(in Input) *Played {
	if in.ChainDepth == 0 {
		in.ChainDepth = DefaultChainDepth
	}
	flat := in.View.Flat()
	p := &Played{Match: in.Rule.ExplainMatch(&flat)}
	if !slices.Contains(in.Ruleset.Match(nil, &flat), in.Rule) {
		p.Outcome, p.Reason = NotCandidate, whyNot(&p.Match)
		return p
	}
	view := *in.View
	if id, _ := view.Head(); id != "" {
		view.Chain = in.ownCommit(id)
	}
	if view.Chain.Depth > 0 {
		if left, reason := rules.SeesOwn([]*rules.Rule{in.Rule}, view.Chain, in.ChainDepth); len(left) == 0 {
			p.Outcome, p.Reason = rules.OutcomeOwnCommit, reason
			return p
		}
	}
	if d := in.Memory.paused(&in, in.Now); d != nil {
		p.Outcome, p.Reason, p.Decision = d.Outcome, d.Reason, d
		return p
	}
	r := &player{Input: in, view: &view, played: p, asks: map[string]int{}, deadlines: rules.Deadlines{}}
	r.play()
	return p
}

func (in *Input) ownCommit(id string) events.Chain {
	if in.OwnCommit == nil || strings.Trim(id, "0") == "" {
		return events.Chain{}
	}
	return in.OwnCommit(id)
}

// WhyNot says why a rule is no candidate of an event.
func WhyNot(rule *rules.Rule, event *events.Flat) string {
	match := rule.ExplainMatch(event)
	return whyNot(&match)
}

func whyNot(match *rules.Explanation) string {
	if leaf := match.FirstFalse(); leaf != nil {
		return describe(leaf)
	}
	return "the rule is off"
}

// describe is what a line of match wanted and saw.
func describe(leaf *rules.Explanation) string {
	if leaf.Wanted == "" {
		return leaf.Brief()
	}
	return fmt.Sprintf("%s wanted %s, saw %s", leaf.Label, leaf.Wanted, leaf.Seen)
}

// player is one play of a candidate.
type player struct {
	Input
	view      *events.View
	played    *Played
	asks      map[string]int // passes in which a fact was asked for
	deadlines rules.Deadlines
}

// play makes passes over the facts until there is a decision.
func (r *player) play() {
	now := r.Now
	for {
		pass := &pass{player: r, now: now, chain: r.view.Chain, asked: map[string]bool{}, checked: map[string]bool{}}
		decision, pause, err := pass.run()
		r.played.Waited = now.Sub(r.Now)
		switch {
		case err != nil:
			r.fail(err)
		case decision != nil:
			r.played.Outcome, r.played.Reason, r.played.Decision = decision.Outcome, decision.Reason, decision
		case r.Impatient:
			w := pause.For
			r.played.Outcome = Waits
			r.played.Reason = fmt.Sprintf("fact %s: %s; every %s, at most %s", w.Fact, w.What(), brief(w.Every), brief(w.Timeout))
		default:
			now = r.wake(pause)
			continue
		}
		return
	}
}

// wake is when to look again: where nothing changes until then, at the first deadline.
func (r *player) wake(p *rules.Pause) time.Time {
	for fact, ask := range r.asks {
		if !r.Facts.Settled(fact, ask) {
			return p.Until
		}
	}
	first := p.Until
	for i, w := range p.Awaited {
		if at := time.Unix(r.deadlines[w.Fact], 0).UTC(); i == 0 || at.Before(first) {
			first = at
		}
	}
	return first
}

// fail ends a play as a worker ends a run that cannot succeed.
func (r *player) fail(err error) {
	p := r.played
	if missing := (*missingError)(nil); errors.As(err, &missing) {
		p.Outcome, p.Missing, p.Reason = NeedsFacts, missing.fact, err.Error()
		return
	}
	p.Outcome, p.Err, p.Class, p.Reason = Failed, err, "evaluation", err.Error()
	if classed := (interface{ Class() string })(nil); errors.As(err, &classed) {
		p.Class = classed.Class()
	}
	// A place in a rule file moves with every edit: what is compared goes without.
	if eval := (*rules.EvalError)(nil); errors.As(err, &eval) && eval.Position.File != "" {
		p.Reason = strings.Replace(p.Reason, eval.Position.String()+": ", "", 1)
	}
}

// missingError says that a fact is not given.
type missingError struct{ fact, why string }

func (e *missingError) Error() string {
	if e.why != "" {
		return "fact " + e.fact + " " + e.why
	}
	return "nothing is given for fact " + e.fact
}

// FetchError is a fact that cannot be fetched, as a test says.
type FetchError struct{ Message string }

func (e *FetchError) Error() string { return e.Message }

// Class is the class of the dead letter.
func (e *FetchError) Class() string { return "refused" }

// pass is one pass over the facts: all facts of a decision come from the same.
type pass struct {
	*player
	now     time.Time
	chain   events.Chain // the event's, or the deeper one of a commit of ours that a fact named
	run0    *rules.Run
	calls   int
	asked   map[string]bool
	checked map[string]bool // commits the loop guard has looked at
}

// run ends in one of a decision, a pause and an error.
func (s *pass) run() (*rules.Decision, *rules.Pause, error) {
	s.played.Calls = nil
	x, err := s.Rule.Begin(rules.Input{
		Event: s.view, EventID: s.Event.ID, Digest: s.Ruleset.Digest(), Accepted: s.Event.Time, Now: s.now.UTC(),
		Chain: s.view.Chain, Watch: s.Watch,
	})
	if err != nil {
		return nil, nil, err
	}
	s.run0 = x
	if s.Arrived != nil {
		s.Arrived(s.now)
	}
	if by := s.Memory.overtook(&s.Input); by != nil {
		return x.Overtaken(by), nil, nil
	}
	for {
		calls, err := x.Next()
		if err != nil {
			return nil, nil, err
		}
		if len(calls) == 0 {
			return s.decide()
		}
		if s.calls += len(calls); s.calls > maxCalls {
			return nil, nil, fmt.Errorf("the facts take more than %d calls", maxCalls)
		}
		waits, err := s.provide(calls)
		if err != nil {
			return nil, nil, err
		}
		if d := s.guard(); d != nil {
			return d, nil, nil
		}
		pause, d, err := x.Await(waits, s.deadlines, s.now)
		if pause != nil || d != nil || err != nil {
			return d, pause, err
		}
	}
}

func (s *pass) decide() (*rules.Decision, *rules.Pause, error) {
	if d := s.guard(); d != nil { // for what was given up, and is there in part
		return d, nil, nil
	}
	d, err := s.run0.Decide()
	if err != nil {
		return nil, nil, err
	}
	if s.chain != s.view.Chain {
		for i := range d.Items {
			for j := range d.Items[i].Actions {
				d.Items[i].Actions[j].Chain = s.chain
			}
		}
	}
	s.Memory.throttle(&s.Input, d)
	return d, nil, nil
}

// provide asks for facts and hands them to the run; it returns those that are not ready.
func (s *pass) provide(calls []rules.Call) ([]rules.Wait, error) {
	s.played.Calls = append(s.played.Calls, calls...)
	replies := make([]Reply, len(calls))
	for i, c := range calls { // first all are asked for, as in a worker
		if !s.asked[c.Fact] {
			s.asked[c.Fact] = true
			s.asks[c.Fact]++
		}
		replies[i] = s.Facts.Ask(c, s.asks[c.Fact])
		switch reply := &replies[i]; {
		case reply.Missing:
			return nil, &missingError{c.Fact, reply.Why}
		case reply.Err != nil:
			return nil, fmt.Errorf("fetch fact %s: %w", c.Fact, reply.Err)
		}
	}
	var waits []rules.Wait
	for from := 0; from < len(calls); {
		fact := calls[from].Fact
		to := from
		absent := false
		for ; to < len(calls) && calls[to].Fact == fact; to++ {
			if replies[to].NotReady {
				absent = true
				continue
			}
			if err := s.run0.Provide(calls[to], replies[to].Value); err != nil {
				return nil, err
			}
		}
		from = to
		if absent {
			waits = append(waits, s.run0.NotReady(fact))
			continue
		}
		wait, err := s.run0.Pending(fact)
		if err != nil {
			return nil, err
		}
		if wait != nil {
			waits = append(waits, *wait)
		}
	}
	return waits, nil
}

// guard applies the loop guard to the commits the facts name. It returns a decision when the rule ends here.
func (s *pass) guard() *rules.Decision {
	for _, id := range s.run0.Commits() {
		if s.checked[id] {
			continue
		}
		s.checked[id] = true
		chain := s.ownCommit(id)
		if chain.Depth == 0 || chain.Action == s.view.Chain.Action {
			continue
		}
		if reason := s.Rule.OwnFact(id, chain, s.ChainDepth); reason != "" {
			d := s.run0.Skip(reason)
			d.Outcome = rules.OutcomeOwnCommit
			return d
		}
		if chain.Depth > s.chain.Depth {
			s.chain = chain
		}
	}
	return nil
}

// brief is a duration without zero minutes and seconds: 24h rather than 24h0m0s.
func brief(d time.Duration) string {
	text := strings.TrimSuffix(d.String(), "m0s")
	if text != d.String() {
		text += "m"
	}
	return strings.Replace(text, "h0m", "h", 1)
}
