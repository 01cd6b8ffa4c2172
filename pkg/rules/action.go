package rules

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/millrace/millrace/pkg/events"
)

// Kinds of action.
const (
	KindCommit = "commit"
	KindBuild  = "build"
	KindNotify = "notify"
	KindAlert  = "alert"
)

// Action is an intended effect, as data. Its JSON is the whole message of work.<kind>: carrying it out needs neither the rule
// nor the event again. Exactly one of Commit, Build, Notify and Alert is set, unless the action waits for a result: then Deferred is.
type Action struct {
	V        int          `json:"v"`
	Key      string       `json:"key"`
	ID       string       `json:"id"` // the action's id in the rule, or kind and number within the kind
	Kind     string       `json:"kind"`
	EventID  string       `json:"event_id"`
	RunID    string       `json:"run_id"`
	Rule     string       `json:"rule"`
	Digest   string       `json:"digest"`
	ItemKey  string       `json:"item_key,omitempty"`
	Accepted time.Time    `json:"accepted"` // when the event was accepted, UTC
	Chain    events.Chain `json:"chain"`
	// Deadline is how long after Since it may be carried out, as time.ParseDuration reads it; "" leaves it to the configuration.
	Deadline string `json:"deadline,omitempty"`
	// Since is when the facts that its rule awaited, or the results that it waited for, were there; zero: it waited for nothing,
	// and the deadline counts from Accepted.
	Since time.Time `json:"since,omitzero"`
	// Rung is, of the message of an alert, what it says.
	Rung AlertRung `json:"rung,omitzero"`
	// Repository and Branch are those of the event, for people.
	Repository string `json:"repository,omitempty"`
	Branch     string `json:"branch,omitempty"`

	Waits    []string  `json:"waits,omitempty"` // ids of actions of the same item whose result this one needs
	Deferred *Deferred `json:"deferred,omitempty"`

	Commit *Commit `json:"commit,omitempty"`
	Build  *Build  `json:"build,omitempty"`
	Notify *Notify `json:"notify,omitempty"`
	Alert  *Alert  `json:"alert,omitempty"`
}

// AlertRung names what the message of an alert says: a rung of one of its ladders.
type AlertRung struct {
	AlertKey   string `json:"alert_key"`
	Generation int    `json:"generation"`
	Rung       int    `json:"rung"`
}

// Within is the deadline that the rule gives the action, and From what it counts from; said is false when it gives none.
func (a *Action) Within() (d time.Duration, said bool) {
	if a.Deadline == "" {
		return 0, false
	}
	d, err := time.ParseDuration(a.Deadline)
	return d, err == nil
}

// From is when the time until the deadline begins.
func (a *Action) From() time.Time {
	if a.Since.After(a.Accepted) {
		return a.Since
	}
	return a.Accepted
}

// size is how many bytes the texts of the action have.
func (a *Action) size() int {
	n := 0
	if d := a.Deferred; d != nil {
		n += len(d.Node) + len(d.Bindings)
	}
	if c := a.Commit; c != nil {
		n += len(c.Message)
		for i := range c.Actions {
			n += len(c.Actions[i].FilePath) + len(c.Actions[i].Content)
		}
	}
	if b := a.Build; b != nil {
		for i := range b.Parameters {
			n += len(b.Parameters[i].Name) + len(b.Parameters[i].Value)
		}
	}
	if m := a.Notify; m != nil {
		n += m.Title.size() + m.Text.size()
	}
	if l := a.Alert; l != nil {
		n += l.Title.size() + l.Text.size()
	}
	return n
}

// Commit is one commit of up to 100 file actions (CodeArts Repo, create commit). Message is without the trailer.
type Commit struct {
	Connection  string       `json:"connection,omitempty"` // "" is the default connection
	RepoID      string       `json:"repo_id"`              // decimal
	Branch      string       `json:"branch"`
	StartBranch string       `json:"start_branch,omitempty"`
	Message     string       `json:"message"`
	AuthorName  string       `json:"author_name,omitempty"`
	AuthorEmail string       `json:"author_email,omitempty"`
	WebURL      string       `json:"web_url,omitempty"` // the repository's page, "" when it is not the event's repository
	Force       bool         `json:"force,omitempty"`
	AtLeastOnce bool         `json:"at_least_once,omitempty"`
	Actions     []FileAction `json:"actions"`
}

// FileAction is one file of a commit. LastCommitID fences update, move and delete; the engine fills it while deciding.
type FileAction struct {
	Action       string `json:"action"` // create update delete move chmod
	FilePath     string `json:"file_path"`
	PreviousPath string `json:"previous_path,omitempty"`
	Content      string `json:"content,omitempty"`
	Encoding     string `json:"encoding,omitempty"` // text (default) or base64
	LastCommitID string `json:"last_commit_id,omitempty"`
	Executable   *bool  `json:"execute_filemode,omitempty"`
}

// Build is one run of a build task to be started (CodeArts Build, start a build). At most one of Commit and Tag says what is built;
// without, it is what the task says.
type Build struct {
	Connection string           `json:"connection,omitempty"` // "" is the default connection
	JobID      string           `json:"job_id"`               // 32 letters and digits
	Commit     string           `json:"commit,omitempty"`     // full id
	Tag        string           `json:"tag,omitempty"`
	Parameters []BuildParameter `json:"parameters,omitempty"` // as the rule has them, each name once
}

// BuildParameter is a parameter of a run. What is not given has the value the task says.
type BuildParameter struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Notify is a message to one or several targets; each target is a work message of its own.
type Notify struct {
	To    []string `json:"to"`
	Title Text     `json:"title"`
	Text  Text     `json:"text"`
	Link  string   `json:"link,omitempty"`
}

// Alert is one reading of a countdown, in days, and what to say when it reaches one of the rungs in At.
type Alert struct {
	AlertKey   string    `json:"alert_key"`
	Phase      string    `json:"phase"`
	Countdown  int       `json:"countdown"`
	At         []int     `json:"at"`
	To         []string  `json:"to"`
	Title      Text      `json:"title"`
	Text       Text      `json:"text"`
	Link       string    `json:"link,omitempty"`
	ObservedAt time.Time `json:"observed_at"`
}

// Deferred is an action that waits for the result of another: its templates, and the values they need beside the results. It is
// rendered by RenderDeferred without the facts, the event or the ruleset.
type Deferred struct {
	Node     json.RawMessage `json:"node"`     // the action's YAML as JSON, templates unrendered
	Bindings json.RawMessage `json:"bindings"` // {"event": {…}, "facts": {…}, "vars": {…}, "item": …}: only what the templates name
	If       string          `json:"if,omitempty"`
	// Asks are the ids of the actions whose failure If asks about, sorted: it reads results.<id>.failed or .error. When another
	// action that is waited for fails, this one is skipped, whatever If says.
	Asks []string `json:"asks,omitempty"`
}

// Result is what became of an action, as results.<id> in a rule. Only the fields of its kind can be named there.
type Result struct {
	Failed bool   `json:"failed" doc:"true when the action ended without its effect"`
	Error  string `json:"error" doc:"why it failed, empty when it did not"`
	// Of a commit.
	ID      string `json:"id" doc:"the commit's id"`
	ShortID string `json:"short_id" doc:"the commit's short id"`
	WebURL  string `json:"web_url" doc:"the page of the commit"`
	// Of a build.
	BuildNo       int64  `json:"build_no" doc:"number of the run"`
	DailyBuildNum string `json:"daily_build_num" doc:"number with the day, like 20260401.3"`
	JobID         string `json:"job_id" doc:"the build task"`
}

// hasResult tells whether actions of a kind have a result that others may name.
func hasResult(kind string) bool { return kind == KindCommit || kind == KindBuild }

// resultType is the type of results.<id> of an action of a kind that has one.
func resultType(kind string) *Type {
	all := TypeFor[Result](kind + "_result")
	foreign := []string{"build_no", "daily_build_num", "job_id"}
	if kind == KindBuild {
		foreign = []string{"id", "short_id", "web_url"}
	}
	all.Fields = slices.DeleteFunc(all.Fields, func(f TypeField) bool { return slices.Contains(foreign, f.Name) })
	return all
}
