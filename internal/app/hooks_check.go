package app

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/pkg/codearts"
)

// The codes of the points CheckHook looks at.
const (
	codeHook       = "hook" // followed by what it is about
	codeHookURL    = "hook.url"
	codeHookSource = "hook.source"
	codeHookSecret = "hook.secret"
	codeHookLogs   = "hook.deliveries"
)

const (
	// judgedLogs is how many of the last deliveries are judged.
	judgedLogs = 20
	// readLogs bounds how many are read to find the last ones: CodeArts does not say in what order it lists them.
	readLogs = 1000
	// logsSince is how far back deliveries count.
	logsSince = 7 * 24 * time.Hour
	// shownFailures is how many failed deliveries are named.
	shownFailures = 5
)

// CheckHook looks at a hook point by point: that it is there, once and as planned, that its source is configured and accepts its secret, and
// how its last deliveries were answered. It changes nothing.
func CheckHook(ctx context.Context, client *codearts.Client, cfg HookConfig, p *HookPlan, now time.Time) (*Diagnosis, error) {
	same, _, err := p.found(ctx, client)
	if err != nil {
		return nil, err
	}
	d := &Diagnosis{Verdict: VerdictOK}
	d.hookAddress(p)
	switch len(same) {
	case 0:
		d.add(VerdictFail, codeHook, "make it with millrace hooks install", "no hook of %s leads to this address", p.Where())
	case 1:
		d.ok(codeHook, "hook %d of %s leads to this address", same[0].ID, p.Where())
		d.hookSettings(p, same[0])
	default:
		d.add(VerdictFail, codeHook, fmt.Sprintf("remove all but one: millrace codearts call delete_hook scope=%s scope_id=%s hook_id=…", p.Scope.Kind, p.Scope.ID),
			"the hooks %s of %s lead to this address, so each event comes %d times", ids(same), p.Where(), len(same))
	}
	d.hookSource(cfg, p)
	for _, hook := range same {
		if err := d.deliveries(ctx, client, p, hook, now); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// hookAddress judges the address itself.
func (d *Diagnosis) hookAddress(p *HookPlan) {
	u, err := url.Parse(p.URL)
	switch {
	case err != nil:
		d.add(VerdictFail, codeHookURL, "give an address like https://receiver.example.com/hooks/shop", "the address cannot be read")
	case u.Scheme == "http":
		d.add(VerdictWarn, codeHookURL, "put the receiver behind https://", "the address is http: who listens in reads the token, and can then post events")
	default:
		d.ok(codeHookURL, "https")
	}
}

// hookSettings compares a hook with the plan.
func (d *Diagnosis) hookSettings(p *HookPlan, hook *codearts.Hook) {
	for _, s := range p.settings(hook) {
		if s.is == s.want {
			d.ok(codeHook+"."+s.what, "%s", s.is)
		} else {
			d.add(VerdictFail, codeHook+"."+s.what, "millrace hooks install changes it", "it has %s, wanted is %s", orNothing(s.is), s.want)
		}
	}
}

// hookSource judges what the configuration says of the source the hook posts to.
func (d *Diagnosis) hookSource(cfg HookConfig, p *HookPlan) {
	name := p.Source()
	if name == "" {
		d.add(VerdictFail, codeHookSource, "a receiver listens at /hooks/NAME, where NAME is one of sources in the configuration", "the path of the address is not that of a receiver")
		return
	}
	source, known := cfg.Sources[name]
	switch {
	case !known:
		d.add(VerdictFail, codeHookSource, fmt.Sprintf("add sources.%s with the secret of the hook, or correct the address", name), "the configuration has no source %s", name)
		return
	case source.Verify != "token":
		d.add(VerdictFail, codeHookSource, fmt.Sprintf("set sources.%s.verify to token", name), "source %s wants %s, and CodeArts Repo sends a token", name, source.Verify)
	case len(source.Headers) > 0 && !slices.ContainsFunc(source.Headers, func(h string) bool { return strings.EqualFold(h, p.tokenHeader()) }),
		len(source.Headers) == 0 && !slices.Contains(usualTokenHeaders(), strings.ToLower(p.tokenHeader())):
		d.add(VerdictFail, codeHookSource, fmt.Sprintf("add %s to sources.%s.headers", p.tokenHeader(), name), "source %s does not look into the header %s", name, p.tokenHeader())
	default:
		d.ok(codeHookSource, "source %s takes a token in %s", name, p.tokenHeader())
	}
	if p.SecretFile == "" {
		d.skip(codeHookSecret, "whether the source accepts the secret is asked with --secret-file only")
		return
	}
	secret, err := readSecret(p.SecretFile)
	if err != nil {
		d.add(VerdictFail, codeHookSecret, "give the file the hook was installed with", "%v", err)
		return
	}
	there, err := accepted(cfg.File, cfg.Environ, name, secret)
	switch {
	case err != nil:
		d.skip(codeHookSecret, "the secrets of source %s cannot be read here: %s", name, oneLine(err))
	case !there:
		d.add(VerdictFail, codeHookSecret, fmt.Sprintf("add { file: %s } to sources.%s.secrets, and restart the receivers", asNamed(p.SecretFile, cfg.File), name),
			"source %s does not accept the secret of %s", name, p.SecretFile)
	default:
		d.ok(codeHookSecret, "source %s accepts the secret of %s", name, p.SecretFile)
	}
}

// usualTokenHeaders are those a source looks into that names none.
func usualTokenHeaders() []string {
	return []string{"x-repo-token", "x-gitlab-token", "x-auth-token", "x-devcloud-token", "x-codehub-token"}
}

// deliveries judges the last deliveries of a hook.
func (d *Diagnosis) deliveries(ctx context.Context, client *codearts.Client, p *HookPlan, hook *codearts.Hook, now time.Time) error {
	var logs []*codearts.HookLog
	q := codearts.HookLogsQuery{Scope: p.Scope, HookID: int64(hook.ID), CreatedAfter: now.Add(-logsSince)}
	for log, err := range client.HookLogs(ctx, q) {
		if err != nil {
			return fmt.Errorf("the log of hook %d: %w", hook.ID, scopeError(err, p.Scope))
		}
		if logs = append(logs, log); len(logs) == readLogs {
			break
		}
	}
	slices.SortFunc(logs, func(a, b *codearts.HookLog) int { return int(b.ID - a.ID) }) // newest first
	logs = logs[:min(len(logs), judgedLogs)]
	failed := slices.DeleteFunc(slices.Clone(logs), func(l *codearts.HookLog) bool { return l.Delivered })
	switch {
	case len(logs) == 0:
		d.skip(codeHookLogs, "hook %d made no delivery in the last %d days: push something, and look again", hook.ID, int(logsSince.Hours()/24))
	case len(failed) == 0:
		d.ok(codeHookLogs, "%s of hook %d: answered 2xx", lastDeliveries(len(logs)), hook.ID)
	default:
		d.add(VerdictFail, codeHookLogs, remedyFor(failed[0]), "%s of hook %d: %d not answered 2xx, and not made again: %s%s",
			lastDeliveries(len(logs)), hook.ID, len(failed), failures(failed), since(logs[0]))
	}
	return nil
}

func lastDeliveries(n int) string {
	if n == 1 {
		return "the last delivery"
	}
	return fmt.Sprintf("the last %d deliveries", n)
}

// failures names failed deliveries.
func failures(failed []*codearts.HookLog) string {
	var all []string
	for _, l := range failed[:min(len(failed), shownFailures)] {
		status := "no answer"
		if l.ResponseStatus != nil {
			status = string(*l.ResponseStatus)
		}
		all = append(all, fmt.Sprintf("%s at %s", oneLine(errors.New(status)), text(l.CreatedAt)))
	}
	if more := len(failed) - len(all); more > 0 {
		all = append(all, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(all, ", ")
}

// since says that the newest delivery was taken, if it was.
func since(newest *codearts.HookLog) string {
	if newest.Delivered {
		return "; the newest one was"
	}
	return ""
}

// remedyFor is what helps against a failed delivery.
func remedyFor(l *codearts.HookLog) string {
	status := ""
	if l.ResponseStatus != nil {
		status = string(*l.ResponseStatus)
	}
	switch {
	case status == "401":
		return "the receiver does not know the secret: add the file of the hook's secret to the source's secrets and restart the receivers, or install with --rotate"
	case status == "404":
		return "the receiver at this address has no such source: correct --url, or the receiver's configuration"
	case status == "413":
		return "the delivery was larger than receiver.max_body"
	case strings.HasPrefix(status, "3"):
		return "something in front of the receiver redirects: give the address it leads to"
	case strings.HasPrefix(status, "5"):
		return "look into the receiver's log at that time; 503 says that events could not be stored"
	case strings.HasPrefix(status, "4"):
		return "look into the receiver's log at that time; something in front of it may refuse CodeArts"
	}
	return "CodeArts cannot reach the address: look at its name, firewall and certificate from outside"
}
