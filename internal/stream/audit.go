package stream

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/millrace/millrace/pkg/events"
)

// audit tells what in the settings of an existing stream would lose messages or records.
// want is the blueprint of the same stream.
func audit(want, have jetstream.StreamConfig) Complaints {
	a := auditor{where: "stream " + want.Name}
	a.everyStream(want, have)
	switch Store(want.Name) {
	case Events:
		a.retention(have, jetstream.LimitsPolicy)
		a.discardNew(have, "events")
		a.noLimit("max_age", int64(have.MaxAge), "events that nobody has matched yet would be removed by age")
		a.noLimit("max_msgs", have.MaxMsgs, "events are capped by bytes, not by number")
		a.noLimit("max_msgs_per_subject", have.MaxMsgsPerSubject, "an event would remove an older one of the same source and type")
	case Work:
		a.work(have)
	case Records:
		a.records(have)
	case Dead:
		a.retention(have, jetstream.LimitsPolicy)
		a.discardNew(have, "dead letters")
		a.noLimit("max_msgs_per_subject", have.MaxMsgsPerSubject, "a dead letter would remove an older one of the same class and consumer")
		a.refuseIf(have.MaxAge > 0 && have.MaxAge < deadKeep,
			fmt.Sprintf("max_age is %s, so dead letters are gone before anybody had the 90 days to look at them", have.MaxAge),
			"set max_age to 90 days (2160h) or more, or to 0")
	}
	return a.found
}

type auditor struct {
	where string
	found Complaints
}

func (a *auditor) refuseIf(wrong bool, found, remedy string) {
	if wrong {
		a.found = append(a.found, Complaint{Where: a.where, Found: found, Remedy: remedy})
	}
}

// everyStream checks what holds for all four.
func (a *auditor) everyStream(want, have jetstream.StreamConfig) {
	a.refuseIf(!slices.Equal(want.Subjects, have.Subjects),
		fmt.Sprintf("its subjects are %q, not %q", have.Subjects, want.Subjects),
		fmt.Sprintf("set its subjects to %s alone", strings.Join(want.Subjects, ", ")))
	a.refuseIf(have.Storage != jetstream.FileStorage,
		"it is stored in memory and would be lost with the server",
		"storage cannot be changed afterwards: move what is in it away and delete it, Millrace makes it again")
	a.refuseIf(have.PersistMode != jetstream.DefaultPersistMode,
		"persist_mode is async, so messages are acknowledged before they are written",
		"the mode cannot be changed afterwards: move what is in it away and delete it, Millrace makes it again")
	a.refuseIf(have.NoAck, "no_ack is set, so nobody is told whether a message was stored", "set no_ack to false")
	a.refuseIf(have.Sealed, "it is sealed and takes no messages", "a sealed stream cannot be opened again: move what is in it away and delete it")
	a.refuseIf(have.Mirror != nil || len(have.Sources) > 0, "it copies from other streams", "remove its mirror and sources")
	a.refuseIf(have.SubjectTransform != nil, "subject_transform changes where messages are stored", "remove subject_transform")
	needs := int32(events.MaxBody + headerRoom)
	a.refuseIf(have.MaxMsgSize > 0 && have.MaxMsgSize < needs,
		fmt.Sprintf("max_msg_size is %d bytes, and a message with the largest event has up to %d", have.MaxMsgSize, needs),
		fmt.Sprintf("set max_msg_size to %d or more, or to -1", needs))
}

func (a *auditor) work(have jetstream.StreamConfig) {
	a.retention(have, jetstream.WorkQueuePolicy)
	const drops = "a schedule stream discards its oldest messages at a limit, so work would be lost"
	a.noLimit("max_age", int64(have.MaxAge), drops)
	a.noLimit("max_msgs", have.MaxMsgs, drops)
	a.noLimit("max_bytes", have.MaxBytes, drops)
	a.noLimit("max_msgs_per_subject", have.MaxMsgsPerSubject, drops)
	a.noLimit("max_consumers", int64(have.MaxConsumers), "each kind of work and each chat target has a consumer of its own")
	a.refuseIf(!have.AllowMsgSchedules, "allow_msg_schedules is off, so nothing can be parked", "set allow_msg_schedules to true")
	a.refuseIf(!have.AllowRollup || have.DenyPurge,
		"roll-ups or purges are denied, so a schedule cannot replace or remove another", "set allow_rollup_hdrs to true and deny_purge to false")
}

func (a *auditor) records(have jetstream.StreamConfig) {
	a.retention(have, jetstream.LimitsPolicy)
	a.discardNew(have, "records")
	a.refuseIf(have.MaxMsgsPerSubject != 1,
		fmt.Sprintf("max_msgs_per_subject is %d, and a record is the one last message of its subject", have.MaxMsgsPerSubject), "set max_msgs_per_subject to 1")
	a.refuseIf(have.DiscardNewPerSubject, "discard_new_per_subject is set, so a record cannot be updated", "set discard_new_per_subject to false")
	a.refuseIf(!have.AllowMsgTTL, "allow_msg_ttl is off, so records would stay for ever or not be taken at all", "set allow_msg_ttl to true")
	a.refuseIf(have.SubjectDeleteMarkerTTL > 0,
		"subject_delete_marker_ttl is set, so an expired record leaves a marker that looks like a record", "set subject_delete_marker_ttl to 0")
	a.noLimit("max_age", int64(have.MaxAge), "a record would be forgotten before its event, and its action done twice")
	a.noLimit("max_msgs", have.MaxMsgs, "records are capped by bytes, not by number")
	a.refuseIf(have.AllowDirect && have.Replicas > 1,
		"allow_direct is set on a replicated stream, so a record may be read before the last write has reached it", "set allow_direct to false")
}

func (a *auditor) retention(have jetstream.StreamConfig, want jetstream.RetentionPolicy) {
	a.refuseIf(have.Retention != want,
		fmt.Sprintf("its retention is %s, not %s, so messages are removed at the wrong time", strings.ToLower(have.Retention.String()), strings.ToLower(want.String())),
		"retention cannot be changed afterwards: move what is in it away and delete it, Millrace makes it again")
}

func (a *auditor) discardNew(have jetstream.StreamConfig, what string) {
	a.refuseIf(have.Discard != jetstream.DiscardNew,
		"it discards the oldest messages when it is full, so "+what+" would be lost", "set discard to new: nats stream edit "+strings.TrimPrefix(a.where, "stream ")+" --discard new")
}

func (a *auditor) noLimit(name string, value int64, because string) {
	a.refuseIf(value > 0, fmt.Sprintf("%s is set: %s", name, because), fmt.Sprintf("remove %s (0 or -1)", name))
}

// auditRulesets checks the stream under the object store.
func auditRulesets(have jetstream.StreamConfig) Complaints {
	a := auditor{where: "object store " + rulesetBucket}
	a.refuseIf(have.Storage != jetstream.FileStorage, "it is stored in memory and would be lost with the server",
		"delete it, Millrace makes it again and workers store their rules when they start")
	a.refuseIf(have.Discard != jetstream.DiscardNew, "it discards the oldest rules when it is full, and runs that need them could not be decided", "set discard to new")
	a.noLimit("max_age", int64(have.MaxAge), "runs whose rules are gone could not be decided")
	return a.found
}
