package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/pkg/codearts"
)

// What InstallHook did.
const (
	HookMade      = "made"
	HookChanged   = "changed"
	HookUnchanged = "unchanged"
	HookPrepared  = "prepared" // the next secret is there, and the hook still sends the old one
	HookRotated   = "rotated"  // the hook sends the next secret
)

// Installed is what InstallHook did, and what is left to do. Nothing in it is secret.
type Installed struct {
	Did        string   `json:"did"`
	Hook       int64    `json:"hook"`
	Scope      string   `json:"scope"`
	ScopeID    string   `json:"scope_id"`
	URL        string   `json:"url"` // without what may be a key in it
	Changes    []string `json:"changes"`
	SecretFile string   `json:"secret_file"`           // that holds what the hook sends, for prepared is to send, for unchanged is taken to send
	NextSteps  []string `json:"next_steps"`            // in this order
	SecretMade bool     `json:"secret_made,omitempty"` // the secret was made just now
}

// HookConfig is the configuration an installation is for: as it was read, where it is, and the environment.
type HookConfig struct {
	*config.Config
	File    string
	Environ []string
}

// InstallHook sees to it that there is one hook as planned, with a secret of its own in the plan's file. It may be called again after it
// failed or was stopped at any point: the file comes first, and the same one is used as long as the hook is not there. rotate replaces the
// secret in two calls: the first makes the next one, the second, once the configuration accepts both, has the hook send it.
func InstallHook(ctx context.Context, client *codearts.Client, cfg HookConfig, p *HookPlan, rotate bool) (*Installed, error) {
	same, all, err := p.found(ctx, client)
	if err != nil {
		return nil, err
	}
	i := &installation{ctx: ctx, client: client, cfg: cfg, plan: p, done: &Installed{
		Scope: string(p.Scope.Kind), ScopeID: p.Scope.ID, URL: publicAddress(p.URL), Changes: []string{}, SecretFile: p.SecretFile, NextSteps: []string{},
	}}
	switch {
	case len(same) > 1:
		return nil, fmt.Errorf("the hooks %s of %s lead to the same address, so each event would come more than once; remove all but one: millrace codearts call delete_hook scope=%s scope_id=%s hook_id=…",
			ids(same), p.Where(), p.Scope.Kind, p.Scope.ID)
	case rotate && len(same) == 0:
		return nil, fmt.Errorf("no hook of %s leads to this address, so there is no secret to change; leave --rotate out to install one", p.Where())
	case rotate:
		return i.rotate(same[0])
	case fileExists(p.SecretFile + nextSuffix):
		return nil, fmt.Errorf("%s is there: a change of the secret has been begun; finish it with --rotate, or remove that file if no hook sends what is in it",
			p.SecretFile+nextSuffix)
	case len(same) == 1:
		return i.adjust(same[0])
	case all >= codearts.MaxHooks && p.Scope.Kind == codearts.HooksOfRepository:
		return nil, fmt.Errorf("%s has %d hooks, and CodeArts allows no more than %d: remove one that is not needed; millrace hooks list shows them",
			p.Where(), all, codearts.MaxHooks)
	}
	return i.make()
}

// publicAddress is an address without what may be secret in it.
func publicAddress(address string) string {
	hook := codearts.Hook{URL: &address}
	hook.Redact()
	return *hook.URL
}

// installation is one call of InstallHook.
type installation struct {
	ctx    context.Context
	client *codearts.Client
	cfg    HookConfig
	plan   *HookPlan
	done   *Installed
}

// make makes a hook that is not there.
func (i *installation) make() (*Installed, error) {
	secret, made, err := freshSecret(i.plan.SecretFile)
	if err != nil {
		return nil, err
	}
	i.done.Did, i.done.SecretMade = HookMade, made
	hook, err := i.client.CreateHook(i.ctx, i.plan.Scope, i.plan.request(secret, nil))
	if failure, ok := errors.AsType[*codearts.APIError](err); ok && failure.MayHaveHappened() {
		// There is no answer, and perhaps a hook. Only one look: the next call does the rest.
		if same, _, looked := i.plan.found(i.ctx, i.client); looked == nil && len(same) == 1 {
			hook, err = same[0], nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w; the secret stays in %s: the same command again goes on from here", scopeError(err, i.plan.Scope), i.plan.SecretFile)
	}
	i.done.Hook = int64(hook.ID)
	if !made {
		i.done.NextSteps = append(i.done.NextSteps, "make sure that no other hook has the secret of "+i.plan.SecretFile+", which was there already")
	}
	i.tellReceiver(i.plan.SecretFile, secret)
	return i.done, nil
}

// adjust changes a hook that is there where it differs from the plan. Its token goes along, for what an update without one does is not
// documented.
func (i *installation) adjust(hook *codearts.Hook) (*Installed, error) {
	i.done.Hook, i.done.Did = int64(hook.ID), HookUnchanged
	secret, err := readSecret(i.plan.SecretFile)
	if hook.Token == nil && !fileExists(i.plan.SecretFile) {
		secret, i.done.SecretMade, err = freshSecret(i.plan.SecretFile)
	}
	if err != nil && !fileExists(i.plan.SecretFile) {
		return nil, fmt.Errorf("hook %d of %s is there, and %s with its secret is not, which CodeArts shows nobody again; give the file it was installed with, or --rotate for a new secret",
			hook.ID, i.plan.Where(), i.plan.SecretFile)
	}
	if err != nil {
		return nil, err
	}
	if i.done.Changes = i.plan.changes(hook); len(i.done.Changes) > 0 {
		i.done.Did = HookChanged
		if _, err = i.client.UpdateHook(i.ctx, i.plan.Scope, int64(hook.ID), i.plan.request(secret, hook)); err != nil {
			return nil, fmt.Errorf("%w; the same command again goes on from here", scopeError(err, i.plan.Scope))
		}
	}
	i.tellReceiver(i.plan.SecretFile, secret)
	return i.done, nil
}

// rotate makes the next secret, and has the hook send it once the receiver accepts both.
func (i *installation) rotate(hook *codearts.Hook) (*Installed, error) {
	next := i.plan.SecretFile + nextSuffix
	secret, made, err := freshSecret(next)
	if err != nil {
		return nil, err
	}
	i.done.Hook, i.done.SecretFile, i.done.SecretMade, i.done.Did = int64(hook.ID), next, made, HookPrepared
	if !i.tellReceiver(next, secret) {
		i.done.NextSteps = append(i.done.NextSteps, "run this command again: the hook is changed when the configuration accepts both secrets")
		return i.done, nil
	}
	i.done.Changes = i.plan.changes(hook)
	if _, err = i.client.UpdateHook(i.ctx, i.plan.Scope, int64(hook.ID), i.plan.request(secret, hook)); err != nil {
		return nil, fmt.Errorf("%w; the same command again goes on from here", scopeError(err, i.plan.Scope))
	}
	i.done.Did = HookRotated
	// Both files stay until nothing names the next one: a receiver that restarts in between would not start without it.
	i.done.NextSteps = append(
		i.done.NextSteps,
		"wait until a delivery with the new secret has come: millrace hooks check",
		fmt.Sprintf("cp %s %s", next, i.plan.SecretFile),
		fmt.Sprintf("take { file: %s } out of the source's secrets, and restart the receivers", asNamed(next, i.cfg.File)),
		"rm "+next,
	)
	return i.done, nil
}

// tellReceiver says what the configuration lacks to accept a secret, if it lacks anything.
func (i *installation) tellReceiver(path string, secret codearts.Secret) (there bool) {
	name, entry := i.plan.Source(), fmt.Sprintf("{ file: %s }", asNamed(path, i.cfg.File))
	if name == "" {
		i.step("have the receiver of this address accept the secret in %s; its path is not that of a source, /hooks/NAME", path)
		return false
	}
	if _, known := i.cfg.Sources[name]; !known {
		i.step("add the source to the configuration, and restart the receivers: sources: { %s: { secrets: [%s] } }", name, entry)
		return false
	}
	there, err := accepted(i.cfg.File, i.cfg.Environ, name, secret)
	switch {
	case err != nil:
		i.step("see to it that sources.%s.secrets has %s, and restart the receivers; whether it has cannot be told here: %s", name, entry, oneLine(err))
	case !there:
		i.step("add %s to sources.%s.secrets, and restart the receivers", entry, name)
	}
	return there
}

func (i *installation) step(format string, args ...any) {
	i.done.NextSteps = append(i.done.NextSteps, fmt.Sprintf(format, args...))
}

// oneLine is an error that may have several lines on one.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
