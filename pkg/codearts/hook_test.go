package codearts_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

const (
	groupID     = "4100001"
	markedHook  = "MARKER-hook-token-81723"
	hookExample = `{"id":1001,"url":"https://hooks.example.com/hooks/shop","name":"millrace","description":null,"token_type":"X-Repo-Token","push_events":true,
 "tag_push_events":false,"merge_requests_events":true,"note_events":true,"push_events_branch_regex_filter":".*","note_plain_text_filter":["a"],
 "service":null,"created_at":"2026-04-01T08:28:42.000+08:00","updated_at":"2026-04-01T08:28:42.000+08:00"}`
	hookLogExample = `{"id":7,"web_hook_id":1001,"trigger":"push_hooks","url":"https://hooks.example.com/hooks/shop","response_status":"202",
 "execution_duration":0.25,"uuid":"u-1","created_at":"2026-04-01T08:28:42.000+08:00","updated_at":null,"repository":{"id":"2111000001","namespace":"shop/orders"},
 "request_headers":{"Content-Type":"application/json"},"request_data":{"object_kind":"push"},"response_headers":{"Date":"today"},"response_body":"{}"}`
)

// hookScopes are one scope of each kind that covers the repository of hookWorld.
var hookScopes = []codearts.HookScope{
	{Kind: codearts.HooksOfRepository, ID: repoID}, {Kind: codearts.HooksOfGroup, ID: groupID}, {Kind: codearts.HooksOfProject, ID: projectID},
}

// hookWorld is a world whose repository is in a group and a project, and what receives deliveries: 500 on /broken, else 202.
func hookWorld(t *testing.T, change ...func(*codearts.Config)) (w *world, receiver string) {
	t.Helper()
	w = newWorld(t, codeartstest.Options{}, change...)
	w.AddRepository(codeartstest.Repository{ID: repoID, Path: "shop/orders", GroupID: groupID, ProjectID: projectID})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/broken" {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(server.Close)
	return w, server.URL
}

func wanted(address string) codearts.HookRequest {
	return codearts.HookRequest{URL: address, Name: "millrace", Token: codearts.NewSecret(markedHook), Push: true, MergeRequests: true, Notes: true}
}

// logsOf returns the logs of a hook when the fake has made so many deliveries.
func logsOf(t *testing.T, w *world, scope codearts.HookScope, id int64, deliveries int) []*codearts.HookLog {
	t.Helper()
	eventually(t, "the deliveries are made", func() bool { return len(w.Deliveries()) >= deliveries })
	var logs []*codearts.HookLog
	for log, err := range w.HookLogs(t.Context(), codearts.HookLogsQuery{Scope: scope, HookID: id}) {
		if err != nil {
			t.Fatal(err)
		}
		logs = append(logs, log)
	}
	return logs
}

func TestHookLifeInEveryScope(t *testing.T) {
	for _, scope := range hookScopes {
		t.Run(string(scope.Kind), func(t *testing.T) {
			w, receiver := hookWorld(t)
			made, err := w.CreateHook(t.Context(), scope, wanted(receiver+"/hooks/shop"))
			if err != nil {
				t.Fatal(err)
			}
			id := int64(made.ID)
			if *made.URL != receiver+"/hooks/shop" || made.Token == nil || *made.TokenType != codearts.DefaultTokenHeader || !*made.PushEvents || *made.TagPushEvents ||
				*made.BranchFilter != ".*" || len(made.NoteFilter) == 0 {
				t.Errorf("made %+v", made)
			}
			got := w.Fake.Hooks()
			if len(got) != 1 || got[0].Token != markedHook || got[0].Scope != string(scope.Kind) {
				t.Errorf("the fake has %+v", got)
			}
			again, err := w.Hook(t.Context(), scope, id)
			if err != nil || cmp.Diff(*made.URL, *again.URL) != "" || again.ID != made.ID {
				t.Errorf("got %+v, %v", again, err)
			}
			other := wanted(receiver + "/hooks/other")
			other.Push, other.Notes, other.TagPush, other.TokenHeader, other.Token = false, false, true, "X-My-Token", codearts.Secret{}
			if again, err = w.UpdateHook(t.Context(), scope, id, other); err != nil || *again.TokenType != "X-My-Token" || *again.PushEvents || !*again.TagPushEvents {
				t.Errorf("updated %+v, %v", again, err)
			}
			if got = w.Fake.Hooks(); got[0].Token != markedHook || got[0].Notes {
				t.Errorf("the fake has %+v: a token that is not given stays", got)
			}
			n := 0
			for hook, err := range w.Client.Hooks(t.Context(), scope) {
				if n++; err != nil || hook.ID != made.ID {
					t.Errorf("listed %+v, %v", hook, err)
				}
			}
			if err = w.DeleteHook(t.Context(), scope, id); err != nil || n != 1 || len(w.Fake.Hooks()) != 0 {
				t.Errorf("%d listed; deleted: %v", n, err)
			}
			for what, err := range map[string]error{
				"get": second(w.Hook(t.Context(), scope, id)), "delete": w.DeleteHook(t.Context(), scope, id),
				"update": second(w.UpdateHook(t.Context(), scope, id, other)), "log": second(w.HookLog(t.Context(), scope, id, 1)),
			} {
				if !errors.Is(err, codearts.ErrNotFound) {
					t.Errorf("%s a hook that is not there: %v", what, err)
				}
			}
		})
	}
}

func TestHookLogsTellWhatHappened(t *testing.T) {
	w, receiver := hookWorld(t)
	for i, scope := range hookScopes {
		good, err := w.CreateHook(t.Context(), scope, wanted(receiver+"/hooks/shop"))
		if err != nil {
			t.Fatal(err)
		}
		bad, err := w.CreateHook(t.Context(), scope, wanted(receiver+"/broken?key="+markedHook))
		if err != nil {
			t.Fatal(err)
		}
		filtered := wanted(receiver + "/hooks/shop")
		filtered.BranchFilter = "release/.*"
		quiet, err := w.CreateHook(t.Context(), scope, filtered)
		if err != nil {
			t.Fatal(err)
		}
		w.Push(repoID, codeartstest.Push{Message: "told"})
		told := (i + 1) * (i + 2) // two more with every scope
		log := logsOf(t, w, scope, int64(good.ID), told)[0]
		if !log.Delivered || *log.ResponseStatus != "202" || log.UUID == nil || *log.ExecutionDuration < 0 || (log.Repository != nil) != (scope.Kind != codearts.HooksOfRepository) {
			t.Errorf("log %+v", log)
		}
		if log = logsOf(t, w, scope, int64(bad.ID), told)[0]; log.Delivered || *log.ResponseStatus != "500" {
			t.Errorf("log of a failure %+v", log)
		}
		for log, err := range w.HookLogs(t.Context(), codearts.HookLogsQuery{Scope: scope, HookID: int64(quiet.ID)}) {
			t.Errorf("a push to another branch: %+v, %v", log, err)
		}
		whole, err := w.HookLog(t.Context(), scope, int64(bad.ID), int64(log.ID))
		if err != nil {
			t.Fatal(err)
		}
		if sent := string(whole.RequestHeaders) + string(whole.RequestData); !strings.Contains(sent, "Push Hook") || !strings.Contains(sent, `"object_kind":"push"`) || strings.Contains(sent, markedHook) {
			t.Errorf("sent %s", sent)
		}
		whole.Redact()
		if text, err := json.Marshal(whole); err != nil || strings.Contains(string(text), "object_kind") || strings.Contains(string(text), "MARKER") ||
			!strings.Contains(string(text), `"X-Devcloud-Event":"Push Hook"`) || !strings.Contains(string(text), `"X-Repo-Token":"[redacted]"`) {
			t.Errorf("redacted: %s, %v", text, err)
		}
		for _, filter := range []codearts.HookLogsQuery{{UUID: "nobody's"}, {CreatedAfter: w.Now().Add(time.Hour)}, {CreatedBefore: w.Now().Add(-time.Hour)}} {
			filter.Scope, filter.HookID = scope, int64(good.ID)
			for log, err := range w.HookLogs(t.Context(), filter) {
				t.Errorf("%+v finds %+v, %v", filter, log, err)
			}
		}
	}
}

func TestHookLogsPaged(t *testing.T) {
	w, receiver := hookWorld(t)
	made, err := w.CreateHook(t.Context(), hookScopes[0], wanted(receiver))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 121 {
		w.Push(repoID, codeartstest.Push{Message: fmt.Sprint(i)})
	}
	seen := map[codearts.Int]bool{}
	for _, log := range logsOf(t, w, hookScopes[0], int64(made.ID), 121) {
		seen[log.ID] = true
	}
	if len(seen) != 121 {
		t.Errorf("%d logs", len(seen))
	}
}

// A server may give out shorter pages than were asked for: the total says that there are more.
func TestShortPagesWithATotal(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
		w.Header().Set("X-Total", "12")
		hooks := []map[string]int{}
		for i := offset; i < min(offset+5, 12); i++ {
			hooks = append(hooks, map[string]int{"id": i + 1})
		}
		_ = json.NewEncoder(w).Encode(hooks)
	}))
	defer server.Close()
	client, err := codearts.New(codearts.Config{
		BuildEndpoint: server.URL, RepoEndpoint: server.URL, Credentials: codearts.StaticToken{Token: codearts.NewSecret("t0ken")},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	n := 0
	for hook, err := range client.Hooks(t.Context(), hookScopes[0]) {
		if n++; err != nil || int(hook.ID) != n {
			t.Fatalf("hook %d: %+v, %v", n, hook, err)
		}
	}
	if n != 12 || asked != 3 {
		t.Errorf("%d hooks in %d questions", n, asked)
	}
}

func TestTwentyHooks(t *testing.T) {
	w, receiver := hookWorld(t)
	for range codearts.MaxHooks {
		if _, err := w.CreateHook(t.Context(), hookScopes[0], wanted(receiver)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.CreateHook(t.Context(), hookScopes[0], wanted(receiver)); !errors.Is(err, codearts.ErrInvalid) {
		t.Errorf("one too many: %v", err)
	}
}

func TestInvalidHooksAreNotSent(t *testing.T) {
	w, receiver := hookWorld(t)
	with := func(change func(*codearts.HookRequest)) error {
		r := wanted(receiver)
		change(&r)
		return second(w.CreateHook(t.Context(), hookScopes[0], r))
	}
	in := func(kind codearts.HookScopeKind, id string) error {
		return second(w.CreateHook(t.Context(), codearts.HookScope{Kind: kind, ID: id}, wanted(receiver)))
	}
	for name, err := range map[string]error{
		"no scope":        in("", "1"),
		"another scope":   in("teams", "1"),
		"repository":      in(codearts.HooksOfRepository, "shop/orders"),
		"group":           in(codearts.HooksOfGroup, ""),
		"project":         in(codearts.HooksOfProject, "../1"),
		"no id":           second(w.Hook(t.Context(), hookScopes[0], 0)),
		"no log":          second(w.HookLog(t.Context(), hookScopes[0], 1, 0)),
		"no address":      with(func(r *codearts.HookRequest) { r.URL = "" }),
		"not an address":  with(func(r *codearts.HookRequest) { r.URL = "hooks.example.com/x" }),
		"user in address": with(func(r *codearts.HookRequest) { r.URL = "https://u:p@hooks.example.com/x" }),
		"long address":    with(func(r *codearts.HookRequest) { r.URL = "https://hooks.example.com/" + strings.Repeat("x", 500) }),
		"long name":       with(func(r *codearts.HookRequest) { r.Name = strings.Repeat("ä", 201) }),
		"long token":      with(func(r *codearts.HookRequest) { r.Token = codearts.NewSecret(strings.Repeat("x", 2001)) }),
		"token of lines":  with(func(r *codearts.HookRequest) { r.Token = codearts.NewSecret("a\nb") }),
		"token header":    with(func(r *codearts.HookRequest) { r.TokenHeader = "X Token" }),
		"no event":        with(func(r *codearts.HookRequest) { r.Push, r.MergeRequests, r.Notes = false, false, false }),
		"long filter":     with(func(r *codearts.HookRequest) { r.BranchFilter = strings.Repeat("x", 501) }),
		"many notes":      with(func(r *codearts.HookRequest) { r.NoteFilter = make([]string, 11) }),
		"long note":       with(func(r *codearts.HookRequest) { r.NoteFilter = []string{strings.Repeat("x", 51)} }),
		"notes by name": second(w.Call(t.Context(), codearts.OpCreateHook, map[string]any{
			"scope": "repositories", "scope_id": repoID, "url": receiver, "note_events": "true", "note_plain_text_filter": "{}",
		})),
	} {
		if api, ok := errors.AsType[*codearts.APIError](err); !ok || !errors.Is(err, codearts.ErrInvalid) || api.Status != 0 || api.MayHaveHappened() {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := w.Calls(codearts.OpCreateHook); n != 0 || len(w.Fake.Hooks()) != 0 {
		t.Errorf("%d requests", n)
	}
}

// hookCalls has one call of every operation about hooks.
func hookCalls(w *world, receiver string, id int64) map[string]func(ctx context.Context) error {
	scope := hookScopes[0]
	return map[string]func(ctx context.Context) error{
		codearts.OpHooks: func(ctx context.Context) error {
			for _, err := range w.Client.Hooks(ctx, scope) {
				return err
			}
			return nil
		},
		codearts.OpHookLogs: func(ctx context.Context) error {
			for _, err := range w.HookLogs(ctx, codearts.HookLogsQuery{Scope: scope, HookID: id}) {
				return err
			}
			return nil
		},
		codearts.OpHook:       func(ctx context.Context) error { return second(w.Hook(ctx, scope, id)) },
		codearts.OpHookLog:    func(ctx context.Context) error { return second(w.HookLog(ctx, scope, id, 1)) },
		codearts.OpCreateHook: func(ctx context.Context) error { return second(w.CreateHook(ctx, scope, wanted(receiver))) },
		codearts.OpUpdateHook: func(ctx context.Context) error { return second(w.UpdateHook(ctx, scope, id, wanted(receiver))) },
		codearts.OpDeleteHook: func(ctx context.Context) error { return w.DeleteHook(ctx, scope, id) },
	}
}

// The other side repeats the token of a hook, or the transport does: nobody sees it.
func TestHookTokenIsNotShown(t *testing.T) {
	echo := "you sent " + markedHook
	for name, change := range map[string]func(*codearts.Config){"http": func(*codearts.Config) {}, "blabbing": func(cfg *codearts.Config) {
		cfg.Transport, cfg.Credentials = blabber{}, codearts.StaticToken{Token: codearts.NewSecret("t0ken")}
	}} {
		w, receiver := hookWorld(t, change)
		for op, call := range hookCalls(w, receiver, 1) {
			if op != codearts.OpCreateHook && op != codearts.OpUpdateHook {
				continue
			}
			for _, failure := range []codeartstest.Failure{
				{Status: 400, Code: markedHook, Message: echo},
				{Status: 500, Message: echo, Header: http.Header{"X-Request-Id": {markedHook}}},
				{Status: 400, Message: echo, Gateway: true},
				{Body: []byte(`{"id":"` + markedHook + `"}`)},
				{Body: []byte(`{"id":1,"token":{"` + markedHook + `":1}}`)},
				{Cut: true},
			} {
				w.Fail(op, failure)
				err := call(t.Context())
				w.Clear()
				if err == nil {
					t.Errorf("%s: %s: no error", name, op)
				}
				for ; err != nil; err = errors.Unwrap(err) {
					if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, markedHook) {
						t.Errorf("%s: %s shows the token: %s", name, op, text)
					}
				}
			}
		}
		for _, form := range []string{"%v", "%+v", "%#v"} {
			if text := fmt.Sprintf(form, wanted(receiver)); strings.Contains(text, markedHook) {
				t.Errorf("a request shows its token: %s", text)
			}
		}
	}
	hook, err := newCanned(t, canned{body: `{"id":1,"token":"` + markedHook + `"}`}).Hook(t.Context(), hookScopes[0], 1) // not masked
	if text, _ := json.Marshal(hook); err != nil || strings.Contains(fmt.Sprintf("%+v", hook)+string(text), markedHook) || hook.Token == nil {
		t.Errorf("a token that is not masked shows: %+v, %v", hook, err)
	}
}

func TestFailuresOfHooks(t *testing.T) {
	w, receiver := hookWorld(t)
	for op, call := range hookCalls(w, receiver, 1) {
		writes := op == codearts.OpCreateHook || op == codearts.OpUpdateHook || op == codearts.OpDeleteHook
		for _, row := range []struct {
			failure codeartstest.Failure
			want    verdict
		}{
			{codeartstest.Failure{Status: 404, Code: "APIGW.0101", Gateway: true}, verdict{status: 404, class: "not_found", is: codearts.ErrNotFound}},
			{codeartstest.Failure{Status: 403, Code: "X.1"}, verdict{status: 403, class: "forbidden", is: codearts.ErrForbidden}},
			{codeartstest.Failure{Status: 200, Code: "X.1", Message: "no"}, verdict{status: 200, class: "refused", again: !writes}},
			{codeartstest.Failure{Status: 500}, verdict{status: 500, class: "unavailable", again: true, maybe: true}},
			{codeartstest.Garbage(), verdict{status: 200, class: "unreadable", again: true, maybe: true}},
			{codeartstest.Failure{Drop: true, Done: true}, verdict{class: "network", again: true, maybe: true}},
		} {
			w.Fail(op, row.failure)
			err := call(t.Context())
			w.Clear()
			if api, ok := errors.AsType[*codearts.APIError](err); row.failure.Drop && ok && api.Status == 404 {
				continue // there is no such hook, so it was answered
			}
			check(t, op, err, row.want)
		}
	}
}

// No answer is a hook that is not one.
func TestHookAnswers(t *testing.T) {
	for body, good := range map[string]bool{
		hookExample: true, `{"id":"1001"}`: true,
		`{}`: false, `null`: false, `[]`: false, `{"id":0}`: false, `{"result":{"id":1},"status":"success"}`: false, ``: false,
	} {
		c := newCanned(t, canned{status: 201, body: body})
		if _, err := c.Hook(t.Context(), hookScopes[0], 1001); (err == nil) != good {
			t.Errorf("get: %s: %v", body, err)
		}
		_, err := c.CreateHook(t.Context(), hookScopes[0], wanted("https://hooks.example.com"))
		if api, ok := errors.AsType[*codearts.APIError](err); (err == nil) != good || ok && !api.MayHaveHappened() {
			t.Errorf("create: %s: %v", body, err)
		}
	}
	for body, good := range map[string]bool{``: true, `{}`: true, `null`: true, `{"status":"success"}`: true, `{"error_code":"X.1"}`: false, `<html>`: false} {
		if err := newCanned(t, canned{body: body}).DeleteHook(t.Context(), hookScopes[0], 1); (err == nil) != good {
			t.Errorf("delete: %s: %v", body, err)
		}
	}
	for body, want := range map[string]int{`[]`: 0, `null`: 0, `[{"id":1},{"id":2}]`: 2, `[{"id":1},{}]`: -1, `{}`: -1, `{"result":[]}`: -1} {
		n := 0
		for _, err := range newCanned(t, canned{body: body}).Hooks(t.Context(), hookScopes[0]) {
			if n++; err != nil {
				n = -1
			}
		}
		if n != want {
			t.Errorf("list: %s: %d, want %d", body, n, want)
		}
	}
}

func TestHookExamplesLoseNothing(t *testing.T) {
	hook, err := newCanned(t, canned{body: hookExample}).Hook(t.Context(), hookScopes[0], 1001)
	if err != nil {
		t.Fatal(err)
	}
	log, err := newCanned(t, canned{body: hookLogExample}).HookLog(t.Context(), hookScopes[0], 1001, 7)
	if err != nil {
		t.Fatal(err)
	}
	for example, got := range map[string]any{hookExample: hook, hookLogExample: log} {
		encoded, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		again := parse(t, string(encoded)).(map[string]any) //nolint:forcetypeassert // of a struct
		for _, ours := range []string{"token", "delivered"} {
			delete(again, ours)
		}
		if diff := cmp.Diff(parse(t, example), any(again)); diff != "" {
			t.Errorf("(-example +encoded again):\n%s", diff)
		}
	}
}

func TestAddressesOfHooksAreRedacted(t *testing.T) {
	for address, want := range map[string]string{
		"https://hooks.example.com/hooks/shop":                                              "https://hooks.example.com/hooks/shop",
		"https://user:pass@hooks.example.com:8443/hooks/shop#x":                             "https://hooks.example.com:8443/hooks/shop",
		"https://oapi.dingtalk.com/robot/send?access_token=0123":                            "https://oapi.dingtalk.com/robot/send?…",
		"https://open.feishu.cn/open-apis/bot/v2/hook/0f0f0f0f-0f0f-0f0f-0f0f-0f0f0f0f0f0f": "https://open.feishu.cn/open-apis/bot/v2/hook/…",
		"":               "",
		"not an address": "[redacted]",
		"://":            "[redacted]",
	} {
		hook := codearts.Hook{URL: &address}
		if hook.Redact(); *hook.URL != want {
			t.Errorf("%s: %s, want %s", address, *hook.URL, want)
		}
	}
}

// Whatever comes as a hook or a log can be redacted and encoded, or is an error on one line.
func FuzzHooks(f *testing.F) {
	for _, body := range []string{
		hookExample, hookLogExample, "[" + hookExample + "]", "[" + hookLogExample + "]", `{"id":1,"token":{}}`, `{"id":7,"request_headers":[],"request_data":""}`,
		`{"id":7,"request_headers":{"X-Repo-Token":["***"]},"execution_duration":"0.5","response_status":500}`, `[null]`, `null`, `{`, "",
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		c, scope := newCanned(t, canned{body: body}), hookScopes[0]
		results := map[string]error{}
		show := func(what string, v interface{ Redact() }, err error) {
			if err == nil {
				v.Redact()
				_, err = json.Marshal(v)
				if err != nil {
					t.Errorf("%s cannot be encoded: %v", what, err)
				}
				return
			}
			results[what] = err
		}
		hook, err := c.Hook(t.Context(), scope, 1)
		show("hook", hook, err)
		log, err := c.HookLog(t.Context(), scope, 1, 7)
		show("log", log, err)
		for hook, err := range c.Hooks(t.Context(), scope) {
			show("hooks", hook, err)
		}
		for log, err := range c.HookLogs(t.Context(), codearts.HookLogsQuery{Scope: scope, HookID: 1}) {
			show("logs", log, err)
		}
		for what, err := range results {
			if _, ok := errors.AsType[*codearts.APIError](err); !ok || strings.ContainsAny(err.Error(), "\n\r\x1b") {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}
