package rules

import "time"

// fetch is one fact of a rule.
type fetch struct {
	name       string
	pos        Position
	kind       *FactKind
	connection string
	args       []argument
	forEach    *expr // nil: one call
	until      *expr // nil: ready when it is provided
	every      time.Duration
	timeout    time.Duration
	onTimeout  string
	after      []string // names of the facts that its calls and its until need, sorted
	result     *Type    // a list with forEach
}

// argument is one argument of a fact, under the API's name.
type argument struct {
	arg   *Arg
	value *template
}

// forEach makes one item of a decision of each element.
type forEach struct {
	in  *expr
	key *expr
}

// action is one action of a rule.
type action struct {
	id       string
	kind     string
	pos      Position
	cond     *expr  // nil: always
	deadline string // "" when the rule says none
	spec     actionSpec
	waits    []string // ids of the actions whose results it names, sorted
	asks     []string // ids of those of them whose failure cond asks about, sorted
	chains   []chain  // what its templates and its condition read
	scope    *scope
}

// actionSpec is what an action says, templates unrendered. Its JSON is the node of a deferred action.
type actionSpec struct {
	Commit *commitSpec `json:"commit,omitempty"`
	Build  *buildSpec  `json:"build,omitempty"`
	Notify *notifySpec `json:"notify,omitempty"`
	Alert  *alertSpec  `json:"alert,omitempty"`
}

type commitSpec struct {
	Connection  string     `json:"connection,omitempty"`
	RepoID      *template  `json:"repo_id"`
	Branch      *template  `json:"branch"`
	StartBranch *template  `json:"start_branch,omitempty"`
	Message     *template  `json:"message"`
	AuthorName  *template  `json:"author_name,omitempty"`
	AuthorEmail *template  `json:"author_email,omitempty"`
	Force       bool       `json:"force,omitempty"`
	AtLeastOnce bool       `json:"at_least_once,omitempty"`
	Actions     []fileSpec `json:"actions"`
}

type fileSpec struct {
	Action       string    `json:"action"`
	FilePath     *template `json:"file_path"`
	PreviousPath *template `json:"previous_path,omitempty"`
	Content      *template `json:"content,omitempty"`
	Encoding     string    `json:"encoding,omitempty"`
	LastCommitID *template `json:"last_commit_id,omitempty"`
	Executable   *bool     `json:"execute_filemode,omitempty"`
}

type buildSpec struct {
	Connection string          `json:"connection,omitempty"`
	JobID      *template       `json:"job_id"`
	Commit     *template       `json:"commit,omitempty"`
	Tag        *template       `json:"tag,omitempty"`
	Parameters []parameterSpec `json:"parameters,omitempty"`
}

type parameterSpec struct {
	Name  string    `json:"name"`
	Value *template `json:"value"`
}

type notifySpec struct {
	To    []string  `json:"to"`
	Title *template `json:"title"`
	Text  *template `json:"text"`
	Link  *template `json:"link,omitempty"`
}

type alertSpec struct {
	Key       *template `json:"key"`
	Phase     *template `json:"phase"`
	Countdown *template `json:"countdown"`
	At        []int     `json:"at"`
	To        []string  `json:"to"`
	Title     *template `json:"title"`
	Text      *template `json:"text"`
	Link      *template `json:"link,omitempty"`
}

// namedTemplate is a template of an action and where it stands in it.
type namedTemplate struct {
	name string
	tmpl *template
}

// templates are all templates of an action, those that are not there left out.
func (s *actionSpec) templates() []namedTemplate {
	var all []namedTemplate
	add := func(name string, t *template) {
		if t != nil {
			all = append(all, namedTemplate{name, t})
		}
	}
	if c := s.Commit; c != nil {
		add("commit.repo_id", c.RepoID)
		add("commit.branch", c.Branch)
		add("commit.start_branch", c.StartBranch)
		add("commit.message", c.Message)
		add("commit.author_name", c.AuthorName)
		add("commit.author_email", c.AuthorEmail)
		for i := range c.Actions {
			f := &c.Actions[i]
			add("commit.actions.file_path", f.FilePath)
			add("commit.actions.previous_path", f.PreviousPath)
			add("commit.actions.content", f.Content)
			add("commit.actions.last_commit_id", f.LastCommitID)
		}
	}
	if b := s.Build; b != nil {
		add("build.job_id", b.JobID)
		add("build.commit", b.Commit)
		add("build.tag", b.Tag)
		for i := range b.Parameters {
			add("build.parameters."+b.Parameters[i].Name, b.Parameters[i].Value)
		}
	}
	if n := s.Notify; n != nil {
		add("notify.title", n.Title)
		add("notify.text", n.Text)
		add("notify.link", n.Link)
	}
	if a := s.Alert; a != nil {
		add("alert.key", a.Key)
		add("alert.phase", a.Phase)
		add("alert.countdown", a.Countdown)
		add("alert.title", a.Title)
		add("alert.text", a.Text)
		add("alert.link", a.Link)
	}
	return all
}
