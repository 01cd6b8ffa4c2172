package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// errBroken is what the memory returns when a test breaks a call.
var errBroken = errors.New("broken by the test")

// existsError is what the memory returns when a record is there already.
type existsError struct{}

func (existsError) Error() string { return "exists" }
func (existsError) Exists() bool  { return true }

// sent is one message put as work.
type sent struct {
	subject string
	header  map[string]string
	data    []byte
}

// memory is all stores an engine is wired to, with real compare-and-set. The call with the
// number breakAt fails: before it did anything, or, if afterwards is set, after it did.
type memory struct {
	mu        sync.Mutex
	records   map[string][]byte
	revs      map[string]uint64
	creations map[string]int
	work      []sent
	rulesets  map[string][]byte
	schedules []string
	events    []*events.Event

	calls      int
	breakAt    int
	afterwards bool
	onCreate   func(subject string) // before a record is created
	onUpdate   func(subject string) // before one is replaced
}

func newMemory() *memory {
	return &memory{records: map[string][]byte{}, revs: map[string]uint64{}, creations: map[string]int{}, rulesets: map[string][]byte{}}
}

// step counts one call and carries it out, unless it is the one to break.
func (m *memory) step(do func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	broken := m.calls == m.breakAt
	if broken && !m.afterwards {
		return errBroken
	}
	if err := do(); err != nil || !broken {
		return err
	}
	return errBroken
}

func (m *memory) Create(_ context.Context, subject string, data []byte) (uint64, error) {
	if m.onCreate != nil {
		m.onCreate(subject)
	}
	return m.write(subject, data, 0)
}

func (m *memory) Update(_ context.Context, subject string, data []byte, rev uint64) (uint64, error) {
	if m.onUpdate != nil {
		m.onUpdate(subject)
	}
	return m.write(subject, data, rev)
}

func (m *memory) write(subject string, data []byte, rev uint64) (next uint64, err error) {
	err = m.step(func() error {
		if m.revs[subject] != rev {
			return existsError{}
		}
		m.records[subject] = bytes.Clone(data)
		m.revs[subject]++
		if next = m.revs[subject]; next == 1 {
			m.creations[subject]++
		}
		return nil
	})
	return next, err
}

func (m *memory) Get(_ context.Context, subject string) (data []byte, rev uint64, err error) {
	err = m.step(func() error {
		data, rev = bytes.Clone(m.records[subject]), m.revs[subject]
		return nil
	})
	return data, rev, err
}

func (m *memory) Put(_ context.Context, subject string, header map[string]string, data []byte) error {
	return m.step(func() error {
		m.work = append(m.work, sent{subject, maps.Clone(header), bytes.Clone(data)})
		return nil
	})
}

func (m *memory) PutRuleset(_ context.Context, digest string, data []byte) error {
	return m.step(func() error {
		m.rulesets[digest] = bytes.Clone(data)
		return nil
	})
}

func (m *memory) Ruleset(_ context.Context, digest string) (data []byte, err error) {
	err = m.step(func() error {
		data = bytes.Clone(m.rulesets[digest])
		return nil
	})
	return data, err
}

func (m *memory) EnsureSchedule(_ context.Context, id, pattern, timeZone string) error {
	return m.step(func() error {
		m.schedules = append(m.schedules, strings.Join([]string{id, pattern, timeZone}, "|"))
		return nil
	})
}

func (m *memory) PublishEvent(_ context.Context, e *events.Event) (duplicate bool, err error) {
	err = m.step(func() error {
		duplicate = slices.ContainsFunc(m.events, func(o *events.Event) bool { return o.ID == e.ID })
		if !duplicate {
			m.events = append(m.events, e)
		}
		return nil
	})
	return duplicate, err
}

// setRecord stores a record that another part of Millrace would have written.
func (m *memory) setRecord(t *testing.T, subject string, rec any) {
	t.Helper()
	data, err := json.Marshal(rec)
	if err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records[subject] = data
	m.revs[subject]++
}

// put returns the messages put under subjects with that prefix.
func (m *memory) put(prefix string) []sent {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []sent
	for _, s := range m.work {
		if strings.HasPrefix(s.subject, prefix) {
			found = append(found, s)
		}
	}
	return found
}

// keys are subject and key of all work, sorted, each once.
func (m *memory) keys() []string {
	var keys []string
	for _, s := range m.put("") {
		keys = append(keys, s.subject+" "+s.header[headerKey])
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// source answers fetches by fact kind, and fences by path.
type source struct {
	store *memory // counts the calls, nil: nobody does

	mu      sync.Mutex
	answers map[string]func(rules.Call) (string, error) // by kind
	fetched []rules.Call
	since   []time.Time
	files   map[string]string // "repo@ref:path" → last commit
	read    []string
}

func (s *source) step(do func() error) error {
	if s.store == nil {
		return do()
	}
	return s.store.step(do)
}

func (s *source) Fetch(ctx context.Context, call rules.Call, since time.Time) (value json.RawMessage, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.fetched = append(s.fetched, call)
	s.since = append(s.since, since)
	answer := s.answers[call.Kind]
	s.mu.Unlock()
	err = s.step(func() error {
		text, err := answer(call)
		value = json.RawMessage(text)
		return err
	})
	if err != nil {
		return nil, err
	}
	return value, nil
}

func (s *source) LastCommit(_ context.Context, connection, repoID, ref, path string) (id string, found bool, err error) {
	name := connection + "/" + repoID + "@" + ref + ":" + path
	s.mu.Lock()
	s.read = append(s.read, name)
	s.mu.Unlock()
	err = s.step(func() error {
		id, found = s.files[name]
		return nil
	})
	return id, found, err
}

// always is an answer that is the same each time.
func always(text string) func(rules.Call) (string, error) {
	return func(rules.Call) (string, error) { return text, nil }
}

// notYet is an answer that there is none.
type notYet struct{}

func (notYet) Error() string  { return "none yet" }
func (notYet) NotReady() bool { return true }

// clock is a time that only a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// lines is a log that tests read.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) logger() zerolog.Logger { return zerolog.New(l) }

// all returns the lines with that message.
func (l *lines) all(t *testing.T, message string) []map[string]any {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []map[string]any
	dec := json.NewDecoder(bytes.NewReader(l.buf.Bytes()))
	for {
		var line map[string]any
		if err := dec.Decode(&line); errors.Is(err, io.EOF) {
			return found
		} else if err != nil {
			t.Fatal(err)
		}
		if line["message"] == message {
			found = append(found, line)
		}
	}
}
