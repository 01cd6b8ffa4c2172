package engine

import (
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// Message is one message of a stream, as the handlers need it.
type Message struct {
	Header map[string]string
	Data   []byte
	// Attempts counts the failed tries so far, FirstTried is the time of the first.
	Attempts   int
	FirstTried time.Time
	// State is what a handler asked to be kept when it parked the message, else "".
	State string
	// Stored is when the stream stored this message.
	Stored time.Time
}

// Headers of work messages.
const (
	headerKey         = "Millrace-Key"
	headerTarget      = "Millrace-Target"
	headerEvent       = "Millrace-Event" // for the log lines of whoever only passes it on
	headerRun         = "Millrace-Run"
	headerRule        = "Millrace-Rule"
	headerType        = "Millrace-Type" // of the event, for whoever looks at the message
	headerDigest      = "Millrace-Digest"
	headerChainDepth  = "Millrace-Chain-Depth"
	headerChainOrigin = "Millrace-Chain-Origin"
	headerChainAction = "Millrace-Chain-Action"
)

// Subjects of work messages.
const (
	subjectRun    = "work.run." // and the source of the event
	subjectCommit = "work.commit"
	subjectBuild  = "work.build"
	subjectAlert  = "work.alert"
	subjectNotify = "work.notify."
)

// traceHeaders travel from message to message unread.
var traceHeaders = [...]string{"traceparent", "tracestate", "Millrace-Replayed"}

// runOrder is what a message of work.run.<source> says: the event, and which rule of which ruleset is
// to be run on it.
type runOrder struct {
	event  *events.Event
	runID  string
	rule   string
	digest string
	chain  events.Chain
	forced *rules.Forced // who put it by force
}

// header is the header of its message.
func (o *runOrder) header(from map[string]string) map[string]string {
	h := maps.Clone(o.event.Header())
	h[headerKey] = o.runID
	h[headerRun] = o.runID
	h[headerRule] = escapeHeader(o.rule)
	h[headerDigest] = o.digest
	if o.chain.Depth > 0 {
		h[headerChainDepth] = strconv.Itoa(o.chain.Depth)
		h[headerChainOrigin] = escapeHeader(o.chain.Origin)
		h[headerChainAction] = escapeHeader(o.chain.Action)
	}
	for _, name := range traceHeaders {
		if v := from[name]; v != "" {
			h[name] = v
		}
	}
	if v := from[rules.HeaderForced]; v != "" {
		h[rules.HeaderForced] = v
	}
	return h
}

func readEvent(m Message) (*events.Event, error) {
	e, err := events.FromHeader(func(name string) string { return m.Header[name] }, m.Data)
	if err != nil {
		return nil, &FinalError{class: ClassMessage, err: fmt.Errorf("read the event of a message: %w", err)}
	}
	return e, nil
}

func readOrder(m Message) (*runOrder, error) {
	e, err := readEvent(m)
	if err != nil {
		return nil, err
	}
	o := &runOrder{
		event:  e,
		runID:  m.Header[headerRun],
		rule:   unescapeHeader(m.Header[headerRule]),
		digest: m.Header[headerDigest],
		forced: rules.ReadForced(m.Header[rules.HeaderForced]),
	}
	if d := m.Header[headerChainDepth]; d != "" {
		o.chain.Depth, err = strconv.Atoi(d)
		o.chain.Origin = unescapeHeader(m.Header[headerChainOrigin])
		o.chain.Action = unescapeHeader(m.Header[headerChainAction])
	}
	if err != nil || o.rule == "" || o.digest == "" || o.runID != rules.RunID(e.ID, o.rule) {
		return nil, &FinalError{class: ClassMessage, err: fmt.Errorf("message of a run for event %s: its headers do not name a run of that event", e.ID)}
	}
	return o, nil
}

// escapeHeader makes text that came from outside fit for a header: what is not printable
// ASCII, and the percent sign, is percent-encoded.
func escapeHeader(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func unescapeHeader(s string) string {
	if t, err := url.PathUnescape(s); err == nil {
		return t
	}
	return s
}
