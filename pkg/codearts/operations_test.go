package codearts_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

// way is a way to sign in and to ask. Every operation is tried in each.
type way struct {
	name   string
	change func(*codearts.Config)
	token  bool // there is a token that a refusal may replace
}

func ways() []way {
	key := func(id, secret, token string) func(*codearts.Config) {
		return func(cfg *codearts.Config) {
			cfg.Credentials = codearts.AKSK{AccessKey: id, SecretKey: codearts.NewSecret(secret), SecurityToken: codearts.NewSecret(token), ProjectID: codeartstest.ProjectID}
		}
	}
	return []way{
		{"password", func(*codearts.Config) {}, true},
		{"token", func(cfg *codearts.Config) {
			cfg.Credentials = codearts.StaticToken{Token: codearts.NewSecret(givenToken)}
		}, false},
		{"access key", key(codeartstest.AccessKeyID, codeartstest.SecretKey, ""), false},
		{"temporary access key", key(codeartstest.TemporaryAccessKeyID, codeartstest.TemporarySecretKey, codeartstest.SecurityToken), false},
		{"password, v4", withV4, true},
	}
}

const givenToken = "t0ken-as-given"

// operated is a world with something to find for every operation.
func operated(t testing.TB, change ...func(*codearts.Config)) *world {
	t.Helper()
	w := newWorld(t, codeartstest.Options{Tokens: []string{givenToken}}, change...)
	w.ChangeJob(jobID, "dev")
	w.StartBuild(jobID, w.Head(repoID, "main"), "main", "SUCCESS", 0)
	w.furnish()
	return w
}

// furnishing is what only the fake knows the ids of: a hook with a delivery, and hooks to delete.
type furnishing struct {
	once      sync.Once
	hook, log int64
	mu        sync.Mutex
	spare     []int64
}

// furnish makes the hooks, as far as it may: who cannot sign in has none, and asks for one that is not there.
func (w *world) furnish() {
	w.has.once.Do(func() {
		w.has.hook, w.has.log = 1, 1
		ctx, scope := w.t.Context(), codearts.HookScope{Kind: codearts.HooksOfRepository, ID: repoID}
		request := codearts.HookRequest{URL: w.url + "/nobody", Push: true, BranchFilter: "told"}
		for range 4 {
			made, err := w.CreateHook(ctx, scope, request)
			if err != nil {
				return
			}
			w.has.spare = append(w.has.spare, int64(made.ID))
		}
		w.has.hook, w.has.spare = w.has.spare[0], w.has.spare[1:]
		w.Push(repoID, codeartstest.Push{Branch: "told", Message: "tell"})
		for deadline := time.Now().Add(2 * time.Minute); w.has.log == 1 && time.Now().Before(deadline); {
			for log, err := range w.HookLogs(ctx, codearts.HookLogsQuery{Scope: scope, HookID: w.has.hook}) {
				if err != nil {
					return
				}
				w.has.log = int64(log.ID)
			}
		}
	})
}

// callable are the operations that Client.Call knows.
func callable() []codearts.Operation {
	return slices.DeleteFunc(codearts.Operations(), func(op codearts.Operation) bool { return !op.Callable() })
}

// call carries out an operation with the arguments of its example; what only the fake knows takes the place of made-up ids.
func (w *world) call(ctx context.Context, op string) (any, error) {
	args := maps.Clone(exampleOf(w.t, op).Args)
	for name := range args {
		switch {
		case name == "commit":
			args[name] = w.Head(repoID, "main")
		case name == "branch_name":
			args[name] = "spare-" + rand.Text()
			w.Push(repoID, codeartstest.Push{Branch: args[name].(string), Message: "spare", Quiet: true})
		case name == "hook_id" && op == codearts.OpDeleteHook:
			args[name] = w.spareHook()
		case name == "hook_id":
			args[name] = w.has.hook
		case name == "log_id":
			args[name] = w.has.log
		}
	}
	return w.Call(ctx, op, args)
}

// spareHook is one that may be deleted.
func (w *world) spareHook() int64 {
	w.has.mu.Lock()
	defer w.has.mu.Unlock()
	if len(w.has.spare) == 0 {
		return 1
	}
	id := w.has.spare[0]
	w.has.spare = w.has.spare[1:]
	return id
}

// calls has one call of every operation that is a request of its own.
func calls(w *world) map[string]func(ctx context.Context) error {
	w.t.Helper()
	w.furnish()
	all := map[string]func(ctx context.Context) error{
		codearts.OpToken: func(ctx context.Context) error { return second(w.JobConfig(ctx, jobID)) },
	}
	for _, op := range callable() {
		if op.Method != "" {
			all[op.Name] = func(ctx context.Context) error { return second(w.call(ctx, op.Name)) }
		}
	}
	return all
}

func TestEveryOperation(t *testing.T) {
	for _, way := range ways() {
		t.Run(way.name, func(t *testing.T) {
			w := operated(t, way.change)
			for _, op := range callable() {
				got, err := w.call(t.Context(), op.Name)
				if err != nil {
					t.Errorf("%s: %v", op.Name, err)
					continue
				}
				if op.Method != "" && w.Calls(op.Name) == 0 {
					t.Errorf("%s was not sent", op.Name)
				}
				switch value := reflect.Indirect(reflect.ValueOf(got)); {
				case op.Result == nil && got != nil:
					t.Errorf("%s: a result that is in no row: %v", op.Name, got)
				case op.Result != nil && (!value.IsValid() || value.Type() != op.Result):
					t.Errorf("%s: the result is a %T, the row says %v", op.Name, got, op.Result)
				case op.Result != nil && value.Kind() == reflect.Slice && value.Len() == 0:
					t.Errorf("%s: there is nothing in its list", op.Name)
				}
				data, err := json.Marshal(got)
				if err != nil || strings.Contains(string(data), "fake-sensitive-value") {
					t.Errorf("%s: %s, %v", op.Name, data, err)
				}
			}
		})
	}
}

// Whatever is needed and not given, and whatever is given and not known, is found before anything is sent.
func TestArgumentsAreChecked(t *testing.T) {
	w := operated(t)
	for _, op := range callable() {
		whole, before := exampleOf(t, op.Name).Args, w.Calls(op.Name)
		wrong := map[string]map[string]any{"unknown argument": maps.Clone(whole)}
		if wrong["unknown argument"] == nil {
			wrong["unknown argument"] = map[string]any{}
		}
		wrong["unknown argument"]["surprise"] = "x"
		for _, arg := range op.Args {
			without, another := maps.Clone(whole), maps.Clone(whole)
			delete(without, arg.Name)
			another[arg.Name] = func() {}
			wrong[arg.Name+" of another kind"] = another
			if !arg.Required {
				continue
			}
			wrong["no "+arg.Name] = without
			if arg.Kind == codearts.ArgText && arg.Name != "commit_message" { // which may be empty
				empty := maps.Clone(whole)
				empty[arg.Name] = ""
				wrong["empty "+arg.Name] = empty
			}
		}
		for what, args := range wrong {
			_, err := w.Call(t.Context(), op.Name, args)
			if api, ok := errors.AsType[*codearts.APIError](err); !ok || !errors.Is(err, codearts.ErrInvalid) || api.Op != op.Name || api.Retryable() || api.MayHaveHappened() {
				t.Errorf("%s with %s: %v", op.Name, what, err)
			}
		}
		if n := w.Calls(op.Name) - before; n != 0 {
			t.Errorf("%s was sent %d times", op.Name, n)
		}
	}
	for _, name := range []string{"", codearts.OpToken, "surprise", "a\nb"} {
		if _, err := w.Call(t.Context(), name, nil); !errors.Is(err, codearts.ErrInvalid) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", name, err)
		}
	}
}
