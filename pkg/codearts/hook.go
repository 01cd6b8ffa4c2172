package codearts

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// HookScopeKind is what a hook belongs to; its value stands in the path.
type HookScopeKind string

// The kinds of scopes.
const (
	HooksOfRepository HookScopeKind = "repositories"
	HooksOfGroup      HookScopeKind = "groups"
	HooksOfProject    HookScopeKind = "projects"
)

// HookScope is one repository, group or project: its hooks are told of what happens there.
type HookScope struct {
	Kind HookScopeKind
	ID   string // digits; of a project its CodeArts project id
}

// Hook is a webhook of CodeArts Repo (CodeArts page ShowRepositoryWebhook). A nil field was null or absent.
type Hook struct {
	ID                 Int      `json:"id" doc:"id"`
	Name               *string  `json:"name" doc:"name"`
	Description        *string  `json:"description" doc:"description"`
	URL                *string  `json:"url" doc:"address that is told, without its query; what may be a key in its path reads …"`
	Token              *Secret  `json:"token" doc:"[redacted] when the hook has a token, else null" secret:"true"`
	TokenType          *string  `json:"token_type" doc:"header that carries the token"`
	PushEvents         *bool    `json:"push_events" doc:"told of pushes"`
	TagPushEvents      *bool    `json:"tag_push_events" doc:"told of tags"`
	MergeRequestEvents *bool    `json:"merge_requests_events" doc:"told of merge requests"`
	NoteEvents         *bool    `json:"note_events" doc:"told of comments"`
	BranchFilter       *string  `json:"push_events_branch_regex_filter" doc:"regular expression: the branches whose pushes are told"`
	NoteFilter         []string `json:"note_plain_text_filter" doc:"which comments are told"`
	Service            *string  `json:"service" doc:"as CodeArts sent it"`
	CreatedAt          *string  `json:"created_at" doc:"when it was made"`
	UpdatedAt          *string  `json:"updated_at" doc:"when it was last changed"`
}

// HookRequest is a hook as it is to be. Lengths are in characters.
type HookRequest struct {
	URL         string // http or https, at most 500
	Name        string // at most 200
	Description string // at most 200
	// Token goes along with every delivery, in the header TokenHeader; at most 2000. An update without one leaves it as it is, as far as
	// is known: CodeArts shows nobody a token again.
	Token       Secret
	TokenHeader string // "" is X-Repo-Token; at most 200

	Push, TagPush, MergeRequests, Notes bool // at least one

	BranchFilter string   // for pushes, at most 500; "" is DefaultBranchFilter
	NoteFilter   []string // for notes, at most 10 of at most 50 each; none is DefaultNoteFilter
}

const (
	// MaxHooks is how many hooks a repository may have (CodeArts Repo user guide, Configuring Webhook Settings).
	MaxHooks = 20
	// DefaultTokenHeader carries the token of a hook that names no other.
	DefaultTokenHeader = "X-Repo-Token"
	// DefaultBranchFilter lets the pushes of every branch through.
	DefaultBranchFilter = ".*"
)

// DefaultNoteFilter lets every comment through, in whichever of its two documented ways the filter compares: it is called one of plain
// text, and said to be one of regular expressions.
func DefaultNoteFilter() []string { return []string{"", ".*"} }

// hookBody is HookRequest as it is sent.
type hookBody struct {
	URL           string   `json:"url"`
	Name          string   `json:"name,omitempty"`
	Description   string   `json:"description,omitempty"`
	Token         string   `json:"token,omitempty"`
	TokenType     string   `json:"token_type"`
	Push          bool     `json:"push_events"`
	TagPush       bool     `json:"tag_push_events"`
	MergeRequests bool     `json:"merge_requests_events"`
	Notes         bool     `json:"note_events"`
	BranchFilter  string   `json:"push_events_branch_regex_filter,omitempty"`
	NoteFilter    []string `json:"note_plain_text_filter,omitempty"`
}

// CreateHook makes a hook: Create webhook, 添加仓库下Webhook (CodeArts pages AddRepositoryWebhook, AddGroupWebhook, AddProjectWebhook).
// CodeArts does not mind two hooks of one address: after an error with MayHaveHappened look for it before trying again.
func (c *Client) CreateHook(ctx context.Context, scope HookScope, r HookRequest) (*Hook, error) {
	return c.writeHook(ctx, OpCreateHook, scope, nil, r)
}

// UpdateHook makes a hook what r says: Update webhook, 更新仓库下单个Webhook数据 (CodeArts page UpdateRepositoryWebhook).
func (c *Client) UpdateHook(ctx context.Context, scope HookScope, id int64, r HookRequest) (*Hook, error) {
	return c.writeHook(ctx, OpUpdateHook, scope, &id, r)
}

func (c *Client) writeHook(ctx context.Context, name string, scope HookScope, id *int64, r HookRequest) (*Hook, error) {
	path, err := scope.path(c.op(name), id)
	if err != nil {
		return nil, err
	}
	body, err := r.body(c.op(name))
	if err != nil {
		return nil, err
	}
	var got *Hook
	if err := c.do(ctx, name, question{path: path, body: body}, &got); err != nil {
		return nil, hideFrom(err, r.Token)
	}
	return got.checked(c.op(name))
}

// Hook returns a hook by its id: Get webhook, 获取仓库下单个Webhook数据 (CodeArts page ShowRepositoryWebhook).
func (c *Client) Hook(ctx context.Context, scope HookScope, id int64) (*Hook, error) {
	path, err := scope.path(c.op(OpHook), &id)
	if err != nil {
		return nil, err
	}
	var got *Hook
	if err := c.do(ctx, OpHook, question{path: path}, &got); err != nil {
		return nil, err
	}
	return got.checked(c.op(OpHook))
}

// DeleteHook removes a hook: Delete webhook, 删除仓库下单个Webhook (CodeArts page RemoveRepositoryWebhook). One that is not there is ErrNotFound.
func (c *Client) DeleteHook(ctx context.Context, scope HookScope, id int64) error {
	path, err := scope.path(c.op(OpDeleteHook), &id)
	if err != nil {
		return err
	}
	return c.do(ctx, OpDeleteHook, question{path: path}, &noResult{})
}

// Hooks lists the hooks of a scope: List webhooks, 获取仓库下Webhook列表 (CodeArts page ListRepositoryWebhooks). Pages are fetched as they are
// needed. An error ends the sequence.
func (c *Client) Hooks(ctx context.Context, scope HookScope) iter.Seq2[*Hook, error] {
	return func(yield func(*Hook, error) bool) {
		op := c.op(OpHooks)
		path, err := scope.path(op, nil)
		if err != nil {
			yield(nil, err)
			return
		}
		for hook, err := range offsetPages(ctx, c, OpHooks, path, url.Values{}, func(a, b *Hook) bool { return a.ID == b.ID }) {
			if err == nil {
				hook, err = hook.checked(op)
			}
			if !yield(hook, err) || err != nil {
				return
			}
		}
	}
}

// path are the values of the path of a call about hooks.
func (s HookScope) path(op *Operation, id *int64) ([]string, error) {
	switch s.Kind {
	case HooksOfRepository, HooksOfGroup:
		if _, err := strconv.ParseUint(s.ID, 10, 63); err != nil {
			return nil, invalid(op, "the id of one of the %s is a number, not %q", s.Kind, clip(clean(s.ID, 60), 60))
		}
	case HooksOfProject:
		if len(s.ID) > 64 || s.ID == "" || strings.ContainsFunc(s.ID, func(r rune) bool { return !alphanumeric(r) }) {
			return nil, invalid(op, "a CodeArts project id has 32 letters and digits, it is not %q", clip(clean(s.ID, 60), 60))
		}
	default:
		return nil, invalid(op, "scope is none of %s, %s, %s", HooksOfRepository, HooksOfGroup, HooksOfProject)
	}
	path := []string{string(s.Kind), s.ID}
	if id != nil {
		if *id < 1 {
			return nil, invalid(op, "hook_id is at least 1")
		}
		path = append(path, strconv.FormatInt(*id, 10))
	}
	return path, nil
}

func alphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// body checks a request against the documented limits and returns it as it is sent.
func (r *HookRequest) body(op *Operation) (*hookBody, error) {
	b := &hookBody{
		URL: r.URL, Name: r.Name, Description: r.Description, Token: r.Token.Reveal(), TokenType: orElse(r.TokenHeader, DefaultTokenHeader),
		Push: r.Push, TagPush: r.TagPush, MergeRequests: r.MergeRequests, Notes: r.Notes,
	}
	u, err := url.Parse(r.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || longer(r.URL, 500):
		return nil, invalid(op, "url has to be an http or https address of at most 500 characters, without user and password")
	case longer(r.Name, 200) || longer(r.Description, 200):
		return nil, invalid(op, "name and description have at most 200 characters")
	case longer(b.Token, 2000) || !headerSafe(b.Token):
		return nil, invalid(op, "token has at most 2000 characters, and none that cannot stand in a header")
	case longer(b.TokenType, 200) || strings.ContainsFunc(b.TokenType, func(c rune) bool { return !alphanumeric(c) && c != '-' && c != '_' }):
		return nil, invalid(op, "token_type is the name of a header of at most 200 characters")
	case !r.Push && !r.TagPush && !r.MergeRequests && !r.Notes:
		return nil, invalid(op, "a hook is told of at least one of push, tag push, merge requests and notes")
	}
	if r.Push {
		if b.BranchFilter = orElse(r.BranchFilter, DefaultBranchFilter); longer(b.BranchFilter, 500) {
			return nil, invalid(op, "push_events_branch_regex_filter has at most 500 characters")
		}
	}
	if r.Notes {
		if b.NoteFilter = r.NoteFilter; len(b.NoteFilter) == 0 {
			b.NoteFilter = DefaultNoteFilter()
		}
		for _, text := range b.NoteFilter {
			if longer(text, 50) || len(b.NoteFilter) > 10 {
				return nil, invalid(op, "note_plain_text_filter has at most 10 texts of at most 50 characters")
			}
		}
	}
	return b, nil
}

func longer(s string, limit int) bool { return utf8.RuneCountInString(s) > limit }

// checked refuses a hook without an id, and forgets a token that is empty.
func (h *Hook) checked(op *Operation) (*Hook, error) {
	if h.ID < 1 {
		e := newError(op)
		e.Err, e.class, e.maybe = errors.New("the answer names no hook"), classUnreadable, op.Writes
		return nil, e
	}
	if h.Token != nil && h.Token.Empty() {
		h.Token = nil
	}
	return h, nil
}

// Redact takes out of the address what may be secret: user, query and fragment, and each part of the path that may be a key.
func (h *Hook) Redact() { h.URL = publicURL(h.URL) }

// publicURL is an address without what may be secret in it. What cannot be read is hidden whole.
func publicURL(address *string) *string {
	if address == nil || *address == "" {
		return address
	}
	u, err := url.Parse(*address)
	if err != nil || u.Host == "" {
		return new(redacted)
	}
	parts := strings.Split(u.EscapedPath(), "/")
	for i, part := range parts {
		if len(part) > 20 {
			parts[i] = "…"
		}
	}
	shown := u.Scheme + "://" + u.Host + strings.Join(parts, "/")
	if u.RawQuery != "" {
		shown += "?…"
	}
	return &shown
}

// hideFrom takes a secret that went along with a question out of its error.
func hideFrom(err error, secret Secret) error {
	failure, ok := errors.AsType[*APIError](err)
	if !ok || secret.Empty() {
		return err
	}
	value := secret.Reveal()
	failure.Code, failure.Message, failure.RequestID = hideAll(failure.Code, value), hideAll(failure.Message, value), hideAll(failure.RequestID, value)
	if failure.Err != nil {
		if text := failure.Err.Error(); hideAll(text, value) != text {
			failure.Err = &hiddenError{text: hideAll(text, value), err: failure.Err}
		}
	}
	return failure
}

// listPage is a page of a list that has a total in its header.
type listPage[T any] struct {
	items []*T
	total int // X-Total; 0: not said
}

// UnmarshalJSON takes a list; null is an empty one.
func (p *listPage[T]) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &p.items) }

func (p *listPage[T]) heard(header http.Header) { p.total, _ = strconv.Atoi(header.Get("X-Total")) }

// offsetPages is the sequence of the items of a list with offset and limit. It goes on while a page is full or the total says so.
func offsetPages[T any](ctx context.Context, c *Client, name string, path []string, query url.Values, same func(a, b *T) bool) iter.Seq2[*T, error] {
	seen := 0
	query.Set("limit", strconv.Itoa(pageSize))
	return pages(c.op(name), func(page int) ([]*T, bool, error) {
		if page == 0 {
			seen = 0
		}
		query.Set("offset", strconv.Itoa(seen))
		var got listPage[T]
		if err := c.do(ctx, name, question{path: path, query: query}, &got); err != nil {
			return nil, false, err
		}
		seen += len(got.items)
		return got.items, len(got.items) >= smallestPage || seen < got.total, nil
	}, same)
}
