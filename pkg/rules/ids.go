package rules

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"strings"
)

// FormatVersion is written as "v" into every record and work message made of this package's types.
const FormatVersion = 1

var hashEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Hash is the name made of ids that come from outside: lower-case base32 of the first 128 bits of SHA-256 over the parts, each
// preceded by its length, so that ("a", "bc") and ("ab", "c") differ. The result is 26 characters of [a-z2-7], fit for a subject token.
func Hash(parts ...string) string {
	h := sha256.New()
	var n [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	return hashEncoding.EncodeToString(h.Sum(nil)[:16])
}

// RunID identifies one rule on one event, for ever: redelivery, replay and a new ruleset lead to the same id.
func RunID(eventID, rule string) string { return Hash("run", eventID, rule) }

// ActionKey identifies one action of one item of a run. It is the subject of the action's record and the commit's trailer.
// itemKey is "" for a rule without for_each; actionID is the action's id, or kind and number within the kind.
func ActionKey(runID, itemKey, actionID string) string {
	return Hash("action", runID, itemKey, actionID)
}

// WorkKey identifies one message of an action that goes to several targets.
func WorkKey(actionKey, target string) string { return Hash("work", actionKey, target) }

// TrailerKey is the git trailer that names the action a commit came from.
const TrailerKey = "Millrace-Action"

// WithTrailer appends the trailer to a commit message, as its own paragraph or to a trailer paragraph that is there already. White
// space around the message goes: git drops it too, and a trailer that was below the first line only because of it would be none.
func WithTrailer(message, key string) string {
	message = strings.Trim(message, "\n \t\r\v\f")
	sep := "\n\n"
	if i := strings.LastIndexByte(message, '\n'); i >= 0 && isTrailerLine(message[i+1:]) && strings.Contains(message, "\n\n") {
		sep = "\n"
	}
	return message + sep + TrailerKey + ": " + key
}

// Trailer finds the action key in a commit message. Only a whole line "Millrace-Action: <key>" in the last paragraph counts,
// with a key of the form Hash makes; anything else is text that somebody wrote.
func Trailer(message string) (key string, ok bool) {
	message = strings.ReplaceAll(strings.TrimRight(message, "\n \t\r"), "\r\n", "\n")
	if i := strings.LastIndex(message, "\n\n"); i >= 0 {
		message = message[i+2:]
	} else {
		return "", false // a lone paragraph is the subject
	}
	for line := range strings.SplitSeq(message, "\n") {
		rest, found := strings.CutPrefix(line, TrailerKey+": ")
		if rest = strings.TrimSpace(rest); found && isHash(rest) {
			key, ok = rest, true
		}
	}
	return key, ok
}

func isHash(s string) bool {
	if len(s) != 26 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// isTrailerLine tells whether a line has the form "Token: value" of git trailers.
func isTrailerLine(line string) bool {
	token, _, ok := strings.Cut(line, ": ")
	if !ok || token == "" {
		return false
	}
	for i := range len(token) {
		c := token[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
