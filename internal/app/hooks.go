package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/millrace/millrace/pkg/codearts"
)

// The events a hook may be told of, as people write them.
const (
	HookPush         = "push"
	HookTagPush      = "tag_push"
	HookMergeRequest = "merge_request"
	HookNote         = "note"
)

// HookEvents are the events a hook may be told of.
func HookEvents() []string { return []string{HookPush, HookTagPush, HookMergeRequest, HookNote} }

// HookPlan is a webhook of CodeArts Repo as it is to be.
type HookPlan struct {
	Scope       codearts.HookScope
	URL         string
	Events      []string // of HookEvents
	Branches    string   // regular expression for pushes; "" every branch
	Notes       []string // which comments; nil every one
	TokenHeader string   // "" is X-Repo-Token
	Name        string   // "" is millrace for a new hook, and what it is for one that is there
	SecretFile  string   // where the secret is kept
}

// Where says what the hook belongs to, for people.
func (p *HookPlan) Where() string { return scopeName(p.Scope) }

func scopeName(s codearts.HookScope) string {
	return map[codearts.HookScopeKind]string{
		codearts.HooksOfRepository: "repository ", codearts.HooksOfGroup: "group ", codearts.HooksOfProject: "project ",
	}[s.Kind] + s.ID
}

// Source is the name of the source that the hook posts to; "" when the path of its address is not that of a receiver.
func (p *HookPlan) Source() string {
	u, err := url.Parse(p.URL)
	if err != nil {
		return ""
	}
	i := strings.LastIndex(u.Path, "/hooks/")
	if i < 0 || strings.Contains(u.Path[i+len("/hooks/"):], "/") {
		return ""
	}
	return u.Path[i+len("/hooks/"):]
}

func (p *HookPlan) tokenHeader() string { return cmp.Or(p.TokenHeader, codearts.DefaultTokenHeader) }

func (p *HookPlan) branches() string { return cmp.Or(p.Branches, codearts.DefaultBranchFilter) }

func (p *HookPlan) tells(event string) bool { return slices.Contains(p.Events, event) }

// setting is one thing about a hook: as it is, and as it is to be.
type setting struct{ what, is, want string }

// settings compares a hook with the plan. A name counts only if one is wanted, and comments only if they are to be chosen.
func (p *HookPlan) settings(h *codearts.Hook) []setting {
	all := []setting{{"events", strings.Join(eventsOf(h), ","), strings.Join(p.inOrder(), ",")}}
	if p.tells(HookPush) {
		all = append(all, setting{"branches", text(h.BranchFilter), p.branches()})
	}
	if p.tells(HookNote) && p.Notes != nil {
		all = append(all, setting{"notes", strings.Join(h.NoteFilter, ","), strings.Join(p.Notes, ",")})
	}
	header := text(h.TokenType)
	if strings.EqualFold(header, p.tokenHeader()) {
		header = p.tokenHeader()
	}
	all = append(all, setting{"token_header", header, p.tokenHeader()}, setting{"token", "none", "one"})
	if h.Token != nil {
		all[len(all)-1].is = "one"
	}
	if p.Name != "" {
		all = append(all, setting{"name", text(h.Name), p.Name})
	}
	return all
}

// changes are the settings in which a hook is not as it is to be, for people.
func (p *HookPlan) changes(h *codearts.Hook) []string {
	all := []string{}
	for _, s := range p.settings(h) {
		if s.is != s.want {
			all = append(all, fmt.Sprintf("%s: %s → %s", s.what, orNothing(s.is), s.want))
		}
	}
	return all
}

func orNothing(s string) string { return cmp.Or(s, "nothing") }

// inOrder are the events of the plan in their usual order, each once.
func (p *HookPlan) inOrder() []string {
	return slices.DeleteFunc(HookEvents(), func(e string) bool { return !p.tells(e) })
}

// eventsOf are the events a hook is told of.
func eventsOf(h *codearts.Hook) []string {
	told := map[string]*bool{HookPush: h.PushEvents, HookTagPush: h.TagPushEvents, HookMergeRequest: h.MergeRequestEvents, HookNote: h.NoteEvents}
	return slices.DeleteFunc(HookEvents(), func(e string) bool { return told[e] == nil || !*told[e] })
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// request is the hook to ask for. What the plan says nothing of is taken from the hook that is there, if there is one.
func (p *HookPlan) request(secret codearts.Secret, there *codearts.Hook) codearts.HookRequest {
	r := codearts.HookRequest{
		URL: p.URL, Name: p.Name, Token: secret, TokenHeader: p.tokenHeader(), BranchFilter: p.branches(), NoteFilter: p.Notes,
		Push: p.tells(HookPush), TagPush: p.tells(HookTagPush), MergeRequests: p.tells(HookMergeRequest), Notes: p.tells(HookNote),
	}
	if there != nil {
		r.Name, r.Description = cmp.Or(r.Name, text(there.Name)), text(there.Description)
		if r.NoteFilter == nil && len(there.NoteFilter) > 0 {
			r.NoteFilter = there.NoteFilter
		}
	}
	r.Name = cmp.Or(r.Name, "millrace")
	return r
}

// ListHooks returns the hooks of a scope, without what may be secret in their addresses.
func ListHooks(ctx context.Context, client *codearts.Client, scope codearts.HookScope) ([]*codearts.Hook, error) {
	all := []*codearts.Hook{}
	for hook, err := range client.Hooks(ctx, scope) {
		if err != nil {
			return nil, scopeError(err, scope)
		}
		hook.Redact()
		all = append(all, hook)
	}
	return all, nil
}

// HookEventsOf are the events a hook is told of, of HookEvents.
func HookEventsOf(h *codearts.Hook) []string { return eventsOf(h) }

// found are the hooks of the plan's scope: those that lead to its address, and how many there are.
func (p *HookPlan) found(ctx context.Context, client *codearts.Client) (same []*codearts.Hook, all int, err error) {
	for hook, err := range client.Hooks(ctx, p.Scope) {
		if err != nil {
			return nil, 0, scopeError(err, p.Scope)
		}
		if all++; sameAddress(text(hook.URL), p.URL) {
			same = append(same, hook)
		}
	}
	return same, all, nil
}

// sameAddress reports whether two addresses are the same but for the case of scheme and host.
func sameAddress(a, b string) bool {
	u, err1 := url.Parse(a)
	v, err2 := url.Parse(b)
	if err1 != nil || err2 != nil {
		return a == b
	}
	u.Host, v.Host = strings.ToLower(u.Host), strings.ToLower(v.Host)
	return u.String() == v.String()
}

// scopeError adds a remedy to a failure that is as a rule about the scope.
func scopeError(err error, scope codearts.HookScope) error {
	where := scopeName(scope)
	switch {
	case errors.Is(err, codearts.ErrNotFound):
		return fmt.Errorf("%w; there is no %s, or the identity may not see it: its id is on its page (of a project the 32 characters in the address)", err, where)
	case errors.Is(err, codearts.ErrForbidden):
		return fmt.Errorf("%w; the identity of the connection needs the right to change the settings of %s", err, where)
	}
	return err
}

// ids are the ids of hooks, for people.
func ids(hooks []*codearts.Hook) string {
	var all []string
	for _, h := range hooks {
		all = append(all, fmt.Sprint(h.ID))
	}
	return strings.Join(all, ", ")
}
