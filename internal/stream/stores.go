package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/millrace/millrace/pkg/events"
)

// Store is the name of a stream.
type Store string

// The streams.
const (
	Events  Store = "EVENTS"  // the archive and the first queue
	Work    Store = "WORK"    // what is to be done, what is parked, the schedules
	Records Store = "RECORDS" // what was decided and what became of it
	Dead    Store = "DEAD"    // dead letters
)

// Subjects to consume.
const (
	AllEvents = eventPrefix + ">"
	// Matches are events to be matched once more.
	Matches = "work.match"
	// Runs is followed by the source of the event. Versions before put all runs there, without a source.
	Runs    = "work.run"
	AllRuns = runPrefix + ">"
	Commits = "work.commit"
	Builds  = "work.build"
	Alerts  = "work.alert"
	// Notifies is followed by the name of the target.
	Notifies = "work.notify."
	// Ticks arrive on work.tick.<schedule id>.
	Ticks = "work.tick.*"
	// Polls arrive on work.poll.<schedule id>.
	Polls = "work.poll.*"
)

// MatchConsumer and the name of a source make the name of the consumer of EVENTS whose acknowledgements allow the events of that source
// to be purged. Versions before had one of this name for all.
const MatchConsumer = "match"

const (
	eventPrefix   = "events."
	runPrefix     = Runs + "."
	rulesetBucket = "rulesets"
	rulesetStream = "OBJ_" + rulesetBucket
	deadKeep      = 90 * 24 * time.Hour
	recordTTL     = 21 * 24 * time.Hour
	workerTTL     = 90 * time.Second
	// headerRoom is what a message may hold beside the largest body.
	headerRoom = 16 << 10
	// parkRoom is what parking or burying a message may add to it.
	parkRoom = 8 << 10
)

// blueprint is the configuration of each stream where there is none yet.
func (c *Conn) blueprint() []jetstream.StreamConfig {
	plain := func(s Store, about, subjects string) jetstream.StreamConfig {
		return jetstream.StreamConfig{
			Name: string(s), Description: about, Subjects: []string{subjects},
			Storage: jetstream.FileStorage, Replicas: c.wantedReplicas(),
			Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
		}
	}
	ev := plain(Events, "Millrace: every accepted event", "events.>")
	ev.MaxBytes, ev.Duplicates = c.cfg.EventsMaxBytes, c.cfg.DuplicateWindow

	// Schedules require discard old. Without a limit nothing is ever discarded.
	work := plain(Work, "Millrace: work, parked work and schedules", "work.>")
	work.Retention, work.Discard = jetstream.WorkQueuePolicy, jetstream.DiscardOld
	work.AllowMsgSchedules, work.AllowRollup = true, true

	// No AllowDirect: a record is read from the leader, see Conn.Get.
	rec := plain(Records, "Millrace: decisions and the ledger", "records.>")
	rec.MaxBytes, rec.MaxMsgsPerSubject, rec.AllowMsgTTL = c.cfg.RecordsMaxBytes, 1, true

	dead := plain(Dead, "Millrace: what did not succeed, and why", "dead.>")
	dead.MaxBytes, dead.MaxAge = c.cfg.DeadMaxBytes, deadKeep
	return []jetstream.StreamConfig{ev, work, rec, dead}
}

// Ensure makes every store that is missing and checks every one that is there. Settings that
// would lose events, or do things twice, are refused, all at once, as [Complaints]. A store with fewer replicas than Config.Replicas is
// given more where there are servers for them. Other differences (a larger cap, more replicas, another duplicate window) are the
// operator's and are kept.
func (c *Conn) Ensure(ctx context.Context) error {
	// While somebody else makes the same stores their space may be counted twice.
	for failures := 0; ; failures++ {
		err := c.ensureOnce(ctx)
		if !wantsStorage(err) || failures == 4 {
			return err
		}
		if pause(ctx, failures); ctx.Err() != nil {
			return err
		}
	}
}

func (c *Conn) ensureOnce(ctx context.Context) error {
	missing, wrong, err := c.auditAll(ctx)
	if err != nil {
		return err
	}
	if len(wrong) > 0 {
		return wrong
	}
	for _, want := range missing {
		if err := c.create(ctx, want); err != nil {
			return err
		}
	}
	if err := c.ensureRulesets(ctx); err != nil {
		return err
	}
	c.raiseReplicas(ctx)
	c.refreshFill(ctx)
	return nil
}

// auditAll returns the streams to be made and everything that is wrong, and changes nothing.
func (c *Conn) auditAll(ctx context.Context) (missing []jetstream.StreamConfig, wrong Complaints, err error) {
	if most := c.nc.MaxPayload(); most < events.MaxBody+headerRoom {
		wrong = append(wrong, Complaint{
			Where:  "broker",
			Found:  fmt.Sprintf("max_payload is %d bytes, and an event of %d bytes with its headers needs %d", most, events.MaxBody, events.MaxBody+headerRoom),
			Remedy: fmt.Sprintf("set max_payload to %d or more; the server's own default is 1048576", events.MaxBody+headerRoom),
		})
	}
	missing, complaints, err := c.auditStores(ctx)
	if err != nil {
		return nil, nil, err
	}
	more, err := c.auditAccount(ctx, missing)
	if err != nil {
		return nil, nil, err
	}
	return missing, append(append(wrong, complaints...), more...), nil
}

// auditStores returns the streams to be made and what is wrong with the others.
func (c *Conn) auditStores(ctx context.Context) (missing []jetstream.StreamConfig, wrong Complaints, err error) {
	for _, want := range c.blueprint() {
		s, err := c.js.Stream(ctx, want.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			missing = append(missing, want)
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("look up stream %s: %w", want.Name, err)
		}
		wrong = append(wrong, audit(want, s.CachedInfo().Config)...)
	}
	s, err := c.js.Stream(ctx, rulesetStream)
	if err == nil {
		wrong = append(wrong, auditRulesets(s.CachedInfo().Config)...)
	} else if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil, fmt.Errorf("look up object store %s: %w", rulesetBucket, err)
	}
	return missing, wrong, nil
}

// auditAccount checks that the account may store what the missing streams may hold.
func (c *Conn) auditAccount(ctx context.Context, missing []jetstream.StreamConfig) (Complaints, error) {
	if len(missing) == 0 {
		return nil, nil
	}
	account, err := c.js.AccountInfo(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the limits of the account: %w", err)
	}
	replicas := max(c.cfg.Replicas, 1) // at least: whether there are servers for more is seen when they are made
	tier := account.Tier
	if t, ok := account.Tiers[fmt.Sprintf("R%d", replicas)]; ok {
		tier = t
	}
	var needed int64
	for _, s := range missing {
		needed += max(s.MaxBytes, 0) * int64(replicas)
	}
	free := tier.Limits.MaxStore - int64(max(tier.Store, tier.ReservedStore))
	if tier.Limits.MaxStore < 0 || needed <= free {
		return nil, nil
	}
	return Complaints{storageComplaint(fmt.Sprintf("the account may store %d bytes more, and the streams to be made are capped at %d together", max(free, 0), needed))}, nil
}

const moreStorage = "give the server or the account more storage, or set the caps of EVENTS, RECORDS and DEAD lower"

func storageComplaint(found string) Complaint {
	return Complaint{Where: "broker", Found: found, Remedy: moreStorage}
}

func wantsStorage(err error) bool {
	var cs Complaints
	return errors.As(err, &cs) && slices.ContainsFunc(cs, func(c Complaint) bool { return c.Remedy == moreStorage })
}

// create makes a stream. Somebody else may have made it a moment ago.
func (c *Conn) create(ctx context.Context, want jetstream.StreamConfig) error {
	_, err := c.js.CreateStream(ctx, want)
	if tooFewServers(err) && c.cfg.Replicas == 0 {
		want.Replicas = 1
		_, err = c.js.CreateStream(ctx, want)
	}
	switch code := apiCode(err); {
	case err == nil:
		return nil
	case tooFewServers(err):
		return replicasError("stream "+want.Name, want.Replicas, err)
	case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse):
		s, err := c.js.Stream(ctx, want.Name)
		if err != nil {
			return fmt.Errorf("look up stream %s: %w", want.Name, err)
		}
		if wrong := audit(want, s.CachedInfo().Config); len(wrong) > 0 {
			return wrong
		}
		return nil
	case code == codeSubjectOverlap:
		return Complaints{{
			Where:  "stream " + want.Name,
			Found:  fmt.Sprintf("another stream already takes some of its subjects (%s)", want.Subjects[0]),
			Remedy: "give Millrace an account of its own, or remove the other stream",
		}}
	case code == codeNoResources || code == codeNoStorage || code == codeAccountResources || code == codeNoPeers:
		return Complaints{storageComplaint(fmt.Sprintf("there is no room for stream %s with its cap of %d bytes", want.Name, want.MaxBytes))}
	default:
		return fmt.Errorf("create stream %s: %w", want.Name, err)
	}
}
