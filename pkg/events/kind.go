package events

import (
	"bytes"
	"slices"
	"strings"
)

// TypeTick is the type of the events that Millrace's own schedules make. A receiver must
// not let a sender make one.
const TypeTick = "schedule.tick"

// TypeBuildFinished is the type of a build that has ended, whatever its outcome.
const TypeBuildFinished = "build.finished"

const (
	typePush         = "push"
	typeBranchDelete = "branch_delete"
	typeTagPush      = "tag_push"
	typeTagDelete    = "tag_delete"
	typeMerge        = "merge_request.merge"
	unknownPrefix    = "unknown."
	maxKind          = 40
)

var known = [...]string{
	typePush, typeBranchDelete, typeTagPush, typeTagDelete,
	"merge_request.open", "merge_request.update", typeMerge,
	"merge_request.close", "merge_request.reopen",
	"merge_request.approved", "merge_request.unapproved",
	"merge_request.approval", "merge_request.unapproval",
	"note.commit", "note.merge_request", "note.issue", "note.snippet",
	"build.succeeded", "build.failed", "build.disabled", "build.deleted",
	"build.config_changed", TypeBuildFinished,
	TypeTick,
}

// Types lists the known types of events. Beside them there is "unknown.<kind>" for
// every kind of body that Millrace does not know. A type is made of [a-z0-9_] tokens, of
// which it has one or, joined by a dot, two.
func Types() []string { return slices.Clone(known[:]) }

// ValidType reports whether t has the form of a type: one or two tokens of [a-z0-9_],
// joined by a dot. It need not be a known one.
func ValidType(t string) bool {
	first, second, two := strings.Cut(t, ".")
	return validToken(first, "_") && (!two || validToken(second, "_"))
}

// ValidSource reports whether name can name a source: [a-z0-9-]{1,40}.
func ValidSource(name string) bool {
	return len(name) <= 40 && validToken(name, "-")
}

func validToken(s, punctuation string) bool {
	for i := range len(s) {
		if c := s[i]; !lowerOrDigit(c) && strings.IndexByte(punctuation, c) < 0 {
			return false
		}
	}
	return s != ""
}

func lowerOrDigit(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

// classify names the type. The body decides (object_kind, event_name, event_type, in
// this order); senders disagree about headers, so the hint comes last.
func (f *found) classify(hint string) string {
	var kind []byte
	for _, t := range [...]text{f.objectKind, f.eventName, f.eventType} {
		if kind = t.bytes(); len(kind) > 0 {
			break
		}
	}
	if len(kind) == 0 {
		kind = kindOfHint(hint)
	}
	switch string(kind) {
	case "push":
		if bytes.HasPrefix(f.ref.bytes(), []byte("refs/tags/")) {
			return f.tag()
		}
		if zeroHash(f.after.bytes()) {
			return typeBranchDelete
		}
		return typePush
	case "tag_push":
		return f.tag()
	case "merge_request":
		action := f.attributes.action.bytes()
		// A merge may arrive as an update whose state is merged.
		if string(action) == "update" && string(f.attributes.state.bytes()) == "merged" {
			return typeMerge
		}
		return pick("merge_request", action)
	case "note":
		return pick("note", noteKind(f.attributes.noteableType.bytes()))
	case "build":
		return pick("build", f.action.bytes())
	case "schedule":
		return TypeTick
	}
	return unknown(kind)
}

func (f *found) tag() string {
	if zeroHash(f.after.bytes()) {
		return typeTagDelete
	}
	return typeTagPush
}

// pick finds the known type kind.what, or makes an unknown one that shows both.
func pick(kind string, what []byte) string {
	for _, t := range known {
		if first, second, _ := strings.Cut(t, "."); first == kind && second == string(what) {
			return t
		}
	}
	if len(what) == 0 {
		return unknownPrefix + kind
	}
	return unknown(append([]byte(kind+"_"), what...))
}

// noteKind spells what was commented as types and rules do: MergeRequest is
// merge_request.
func noteKind(subject []byte) []byte {
	kind := make([]byte, 0, len(subject)+1)
	for i, c := range subject {
		if 'A' <= c && c <= 'Z' {
			if i > 0 && subject[i-1] != '_' {
				kind = append(kind, '_')
			}
			c |= 0x20
		}
		kind = append(kind, c)
	}
	return kind
}

// kindOfHint turns the spellings of kind headers into those of bodies: "Tag Push Hook"
// into tag_push.
func kindOfHint(hint string) []byte {
	hint = strings.ToLower(strings.TrimSpace(hint))
	hint = strings.TrimSuffix(hint, " hook")
	return []byte(strings.ReplaceAll(hint, " ", "_"))
}

// unknown is the type of a kind that is not known, reduced to what a subject may hold.
func unknown(kind []byte) string {
	if len(kind) == 0 {
		return unknownPrefix + "none"
	}
	kind = bytes.ToLower(kind)
	if len(kind) > maxKind {
		kind = kind[:maxKind]
	}
	token := make([]byte, len(kind))
	for i, c := range kind {
		if !lowerOrDigit(c) {
			c = '_'
		}
		token[i] = c
	}
	return unknownPrefix + string(token)
}

// zeroHash reports whether hash is the all-zero one that means "none".
func zeroHash[T string | []byte](hash T) bool {
	for i := range len(hash) {
		if hash[i] != '0' {
			return false
		}
	}
	return len(hash) > 0
}
