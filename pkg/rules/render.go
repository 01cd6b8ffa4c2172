package rules

import (
	"fmt"
	"time"
)

// surroundings is what rendering an action needs beside its templates and their variables.
type surroundings struct {
	ObservedAt time.Time `json:"observed_at"`
	RepoID     string    `json:"event_repo_id,omitempty"`
	WebURL     string    `json:"event_web_url,omitempty"`
}

// render fills out with what the action says.
func (s *actionSpec) render(out *Action, act activation, g surroundings) (err error) {
	switch {
	case s.Commit != nil:
		out.Commit, err = s.Commit.render(act, g)
	case s.Build != nil:
		out.Build, err = s.Build.render(act)
	case s.Notify != nil:
		out.Notify, err = s.Notify.render(act)
	case s.Alert != nil:
		out.Alert, err = s.Alert.render(act, g)
	default:
		err = fmt.Errorf("action %s says nothing", out.ID)
	}
	return err
}

// checked renders a template and checks the text; a template that is not there is "" without a check.
func (t *template) checked(act activation, check func(string) error) (string, error) {
	if t == nil {
		return "", nil
	}
	s, err := t.text(act)
	if err != nil {
		return "", err
	}
	if check != nil {
		if err := check(s); err != nil {
			return "", &EvalError{Position: t.pos, Field: t.field, Message: err.Error()}
		}
	}
	return s, nil
}

func (c *commitSpec) render(act activation, g surroundings) (*Commit, error) {
	out := &Commit{Connection: c.Connection, Force: c.Force, AtLeastOnce: c.AtLeastOnce}
	for _, f := range []struct {
		to    *string
		from  *template
		check func(string) error
	}{
		{&out.RepoID, c.RepoID, checkRepoID},
		{&out.Branch, c.Branch, checkBranch},
		{&out.StartBranch, c.StartBranch, checkBranch},
		{&out.Message, c.Message, checkMessage},
		{&out.AuthorName, c.AuthorName, checkAuthor},
		{&out.AuthorEmail, c.AuthorEmail, checkAuthor},
	} {
		s, err := f.from.checked(act, f.check)
		if err != nil {
			return nil, err
		}
		*f.to = s
	}
	if out.RepoID == g.RepoID {
		out.WebURL = g.WebURL
	}
	paths := map[string]bool{}
	for i := range c.Actions {
		a, err := c.Actions[i].render(act)
		if err != nil {
			return nil, err
		}
		if paths[a.FilePath] {
			t := c.Actions[i].FilePath
			return nil, &EvalError{Position: t.pos, Field: t.field, Message: "the file " + quoted(a.FilePath) + " is there twice in one commit"}
		}
		paths[a.FilePath] = true
		out.Actions = append(out.Actions, a)
	}
	return out, nil
}

func (f *fileSpec) render(act activation) (FileAction, error) {
	out := FileAction{Action: f.Action, Encoding: f.Encoding, Executable: f.Executable}
	for _, t := range []struct {
		to    *string
		from  *template
		check func(string) error
	}{
		{&out.FilePath, f.FilePath, checkPath},
		{&out.PreviousPath, f.PreviousPath, checkPath},
		{&out.Content, f.Content, checkContent},
		{&out.LastCommitID, f.LastCommitID, checkCommitID},
	} {
		s, err := t.from.checked(act, t.check)
		if err != nil {
			return out, err
		}
		*t.to = s
	}
	return out, nil
}

func (b *buildSpec) render(act activation) (*Build, error) {
	out := &Build{Connection: b.Connection}
	for _, f := range []struct {
		to    *string
		from  *template
		check func(string) error
	}{
		{&out.JobID, b.JobID, checkJobID},
		{&out.Commit, b.Commit, checkBuiltCommit},
		{&out.Tag, b.Tag, checkTag},
	} {
		s, err := f.from.checked(act, f.check)
		if err != nil {
			return nil, err
		}
		*f.to = s
	}
	for _, p := range b.Parameters {
		v, err := p.Value.checked(act, checkParameter)
		if err != nil {
			return nil, err
		}
		out.Parameters = append(out.Parameters, BuildParameter{Name: p.Name, Value: v})
	}
	return out, nil
}

func (n *notifySpec) render(act activation) (*Notify, error) {
	out := &Notify{To: n.To}
	var err error
	if out.Title, err = n.Title.title(act); err != nil {
		return nil, err
	}
	if out.Text, err = n.Text.rich(act); err != nil {
		return nil, err
	}
	out.Link, err = n.Link.link(act)
	return out, err
}

func (a *alertSpec) render(act activation, g surroundings) (*Alert, error) {
	out := &Alert{At: a.At, To: a.To, ObservedAt: g.ObservedAt}
	var err error
	if out.AlertKey, err = a.Key.checked(act, checkAlertKey); err != nil {
		return nil, err
	}
	if out.Phase, err = a.Phase.checked(act, checkAlertKey); err != nil {
		return nil, err
	}
	v, err := a.Countdown.value(act)
	if err != nil {
		return nil, err
	}
	days, err := convert(v, Int)
	n, ok := days.(int64)
	if err != nil || !ok || n < -36500 || n > 36500 {
		return nil, &EvalError{Position: a.Countdown.pos, Field: a.Countdown.field, Message: fmt.Sprintf("wanted a number of days, got %s", describe(v))}
	}
	out.Countdown = int(n)
	if out.Title, err = a.Title.title(act); err != nil {
		return nil, err
	}
	if out.Text, err = a.Text.rich(act); err != nil {
		return nil, err
	}
	out.Link, err = a.Link.link(act)
	return out, err
}

// title is a rich text of one line.
func (t *template) title(act activation) (Text, error) {
	out, err := t.rich(act)
	if err != nil {
		return nil, err
	}
	if err := checkTitle(out.Plain()); t != nil && err != nil {
		return nil, &EvalError{Position: t.pos, Field: t.field, Message: err.Error()}
	}
	return out, nil
}

// link is the address of a page, or "" for none.
func (t *template) link(act activation) (string, error) {
	return t.checked(act, checkLinkOrNone)
}
