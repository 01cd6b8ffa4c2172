package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/internal/stream"
	"github.com/millrace/millrace/pkg/rules"
)

// brokerSkew is how far the broker's clock may be from ours: what is parked wakes by its clock, at times of ours.
const brokerSkew = 10 * time.Second

// broker looks at NATS and its stores, and returns how many servers there are, as far as can be seen. ruleset may be nil.
func (d *Diagnosis) broker(ctx context.Context, cfg *config.Config, ruleset *rules.Ruleset, asked monitoring) (servers int) {
	ctx, cancel := context.WithTimeout(ctx, partTimeout)
	defer cancel()
	conn, err := stream.Connect(ctx, streamConfig(cfg, "millrace-doctor", zerolog.Nop()))
	if err != nil {
		d.unreachable(cfg, err)
		for _, code := range []string{codeStores, codeBacklog} {
			d.skip(code, "not looked at: NATS cannot be used")
		}
		return 0
	}
	defer conn.Close()
	seen, err := conn.Inspect(ctx)
	if err != nil {
		remedy := "the account of nats.token or nats.credentials_file needs the rights to use JetStream"
		if errors.Is(err, context.DeadlineExceeded) {
			remedy = "try again: a cluster needs most of its servers, and a moment to agree on who leads; see that they are up"
		}
		d.add(VerdictFail, codeBroker, remedy, "JetStream does not answer: %v", err)
		return 0
	}
	servers = d.servers(seen, asked)
	d.stores(seen)
	d.replicas(seen, servers)
	d.sync(cfg, seen, servers, asked)
	if seen.SkewKnown {
		d.clock(seen.Skew)
	}
	if len(seen.Missing) > 0 {
		d.skip(codeBacklog, "there is no work before all stores are there")
		return servers
	}
	d.backlog(ctx, cfg, conn)
	d.schedules(ctx, cfg, conn, ruleset)
	return servers
}

// unreachable says why there is no broker. Without one a receiver answers 503, and CodeArts Repo is not known to send again.
func (d *Diagnosis) unreachable(cfg *config.Config, err error) {
	var complaints stream.Complaints
	if errors.As(err, &complaints) {
		for _, c := range complaints {
			d.add(VerdictFail, codeBroker, c.Remedy, "%s: %s", c.Where, c.Found)
		}
		return
	}
	remedy := "start nats-server (2.14 or newer, with --jetstream), or correct nats.url; while it is away every delivery is answered 503"
	if journaled(cfg) {
		remedy = "start nats-server (2.14 or newer, with --jetstream), or correct nats.url; while it is away receivers accept what their journals have room for, and nothing is decided"
	}
	bare := err.Error()
	if hinted, ok := errors.AsType[interface {
		error
		Remedy() string
	}](err); ok {
		bare = strings.TrimSuffix(bare, "; "+hinted.Remedy())
	}
	switch text := strings.ToLower(err.Error()); {
	case strings.Contains(text, "authorization"), strings.Contains(text, "authentication"):
		remedy = "the server asks who you are: give nats.token or nats.credentials_file, or correct them"
		if cfg.NATS.Token.IsSet() || cfg.NATS.CredentialsFile != "" {
			remedy = "the server does not accept nats.token or nats.credentials_file: get new ones from who runs it"
		}
	case strings.Contains(text, "tls"), strings.Contains(text, "x509"), strings.Contains(text, "certificate"):
		remedy = "the server and nats.url must agree about TLS (tls://), and its certificate must be valid for that name"
	case strings.Contains(text, "no such host"):
		remedy = "the name in nats.url is unknown here: correct it, or the DNS of this machine"
	case strings.Contains(text, "i/o timeout"), strings.HasSuffix(text, "eof"):
		remedy = "something is there that does not speak NATS, as the port for monitoring or for the cluster does: the port for clients is 4222 as a rule. Or a firewall is between"
	}
	d.add(VerdictFail, codeBroker, remedy, "%s", bare)
}

func (d *Diagnosis) stores(seen *stream.Inspection) {
	for _, c := range seen.Wrong {
		d.add(VerdictFail, codeStores, c.Remedy, "%s: %s", c.Where, c.Found)
	}
	var missing []string
	for _, s := range seen.Missing {
		missing = append(missing, string(s))
	}
	const all = 4
	switch {
	case len(missing) == all:
		d.ok(codeStores, "none is there yet; the first receiver or worker makes them")
	case len(missing) > 0:
		d.add(VerdictWarn, codeStores, "if Millrace has run here before, somebody deleted them with what was in them; else start a receiver or worker, which makes them",
			"%s: not there, while others are", strings.Join(missing, ", "))
	case len(seen.Wrong) == 0:
		d.ok(codeStores, "EVENTS, WORK, RECORDS and DEAD are there, and none drops what it was given")
	}
	for _, c := range seen.Unsafe {
		d.add(VerdictFail, codeRisks, c.Remedy, "%s: %s", c.Where, c.Found)
	}
	for _, c := range seen.Risks {
		d.add(VerdictWarn, codeRisks, c.Remedy, "%s: %s", c.Where, c.Found)
	}
}

const clockRemedy = "synchronise both clocks (chrony, systemd-timesyncd)"

func (*Diagnosis) skewed(by time.Duration) bool { return by.Abs() > brokerSkew }

func (d *Diagnosis) clock(skew time.Duration) {
	if d.skewed(skew) {
		d.add(VerdictWarn, codeClock, clockRemedy,
			"the server's clock is %s ours by %s: what is parked wakes at the wrong time", aheadOf(skew), skew.Abs().Round(time.Second))
		return
	}
	d.ok(codeClock, "the server's clock and ours agree")
}

func aheadOf(skew time.Duration) string {
	if skew > 0 {
		return "ahead of"
	}
	return "behind"
}

// backlog tells what waits, and for whom nobody will ever ask.
func (d *Diagnosis) backlog(ctx context.Context, cfg *config.Config, conn *stream.Conn) {
	stats, err := conn.Stats(ctx)
	if err != nil {
		d.add(VerdictFail, codeBacklog, "", "the stores cannot be read: %v", err)
		return
	}
	work := uint64(0)
	for _, n := range stats.Waiting {
		work += n
	}
	d.ok(codeBacklog, "%d events to be matched, %d pieces of work to be done, %d parked", stats.Unmatched, work, stats.Parked)
	for _, subject := range slices.Sorted(maps.Keys(stats.Waiting)) {
		target, ok := strings.CutPrefix(subject, "notify.")
		if _, configured := cfg.Targets[target]; ok && !configured {
			d.add(VerdictWarn, codeUnclaimed,
				fmt.Sprintf("start a worker with targets.%s, or give them up: nats stream purge WORK --subject %s%s", target, stream.Notifies, target),
				"%s for target %s, which is not configured: nobody will send them", messages(stats.Waiting[subject]), target)
		}
	}
	if len(stats.Dead) == 0 {
		d.ok(codeDead, "none")
		return
	}
	var classes []string
	total := uint64(0)
	for _, class := range slices.Sorted(maps.Keys(stats.Dead)) {
		classes = append(classes, fmt.Sprintf("%s %d", class, stats.Dead[class]))
		total += stats.Dead[class]
	}
	d.add(VerdictWarn, codeDead, "millrace deadletters list says why, and replay has them tried again; they are kept for 90 days",
		"%d given up (%s)", total, strings.Join(classes, ", "))
}

func messages(n uint64) string {
	if n == 1 {
		return "1 message waits"
	}
	return fmt.Sprintf("%d messages wait", n)
}

// schedules lists those that no rule and no source has any more. Workers never delete one: another worker may have other rules.
func (d *Diagnosis) schedules(ctx context.Context, cfg *config.Config, conn *stream.Conn, ruleset *rules.Ruleset) {
	stored, err := conn.Schedules(ctx)
	switch {
	case err != nil:
		d.add(VerdictWarn, codeSchedules, "", "they cannot be read: %v", err)
		return
	case ruleset == nil && len(stored) > 0:
		d.skip(codeSchedules, "%s stored; without rules nobody can say which are used", counted(len(stored), "schedule"))
		return
	case len(stored) == 0:
		return
	}
	used := make(map[string]bool)
	for _, s := range ruleset.Schedules() {
		used[s.ID] = true
	}
	for _, s := range pollSources(cfg, nil) {
		id, _ := s.Schedule()
		used[id] = true
	}
	unused := slices.DeleteFunc(slices.Clone(stored), func(id string) bool { return used[id] })
	for _, id := range unused {
		d.add(VerdictWarn, codeSchedules, "if no other worker has such a rule or source, remove it: nats stream purge WORK --subject work.at.cron."+id,
			"%s is stored, and no rule and no source here uses it: it ticks for nobody", id)
	}
	if len(unused) == 0 {
		d.ok(codeSchedules, "%s stored, each used by a rule or a source", counted(len(stored), "schedule"))
	}
}
