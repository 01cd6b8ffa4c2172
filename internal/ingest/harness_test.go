package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/millrace/millrace/pkg/events"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store is a Publisher in memory. fail, if set, is asked before anything is stored.
type store struct {
	mu     sync.Mutex
	events []*events.Event
	seen   map[string]bool
	fail   func(ctx context.Context, e *events.Event) error
}

func (s *store) PublishEvent(ctx context.Context, e *events.Event) (bool, error) {
	if s.fail != nil {
		if err := s.fail(ctx, e); err != nil {
			return false, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[e.ID] {
		return true, nil
	}
	if s.seen == nil {
		s.seen = map[string]bool{}
	}
	s.seen[e.ID] = true
	s.events = append(s.events, e)
	return false, nil
}

func (s *store) all() []*events.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.events
}

var testTime = time.Date(2026, 11, 20, 9, 43, 0, 0, time.UTC)

const testSecret = "marker-7f3a-secret"

func tokenSource(name string) Source {
	return Source{Name: name, Verify: Verify{Scheme: SchemeToken, Secrets: []Secret{Secret("old-" + testSecret), Secret(testSecret)}}}
}

// rig is a receiver with its store and its log.
type rig struct {
	*Server
	store *store
	log   *syncBuffer
}

// syncBuffer is a buffer that several connections log to.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func newRig(t testing.TB, change func(*Options)) *rig {
	t.Helper()
	r := &rig{store: &store{}, log: &syncBuffer{}}
	opts := Options{
		Sources:   []Source{tokenSource("repo")},
		Publisher: r.store,
		Log:       zerolog.New(r.log),
		Now:       func() time.Time { return testTime },
	}
	if change != nil {
		change(&opts)
	}
	s, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	r.Server = s
	return r
}

// delivery is a good request, to be made worse.
func delivery(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/hooks/repo", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Repo-Token", testSecret)
	return r
}

// answered is what the sender sees.
type answered struct {
	Status  int
	Header  http.Header
	EventID string `json:"event_id"`
	State   string `json:"status"`
	Error   string `json:"error"`
}

func (r *rig) send(t testing.TB, req *http.Request) answered {
	t.Helper()
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return parseAnswer(t, w.Code, w.Header(), w.Body.Bytes())
}

func parseAnswer(t testing.TB, status int, h http.Header, body []byte) answered {
	t.Helper()
	a := answered{Status: status, Header: h}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		t.Fatalf("%d: the answer is not ours: %v: %s", status, err, body)
	}
	if got := h.Get("Content-Type"); got != "application/json" {
		t.Fatalf("%d: content type %q", status, got)
	}
	return a
}

// lines are the log lines so far.
func (r *rig) lines(t testing.TB) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range strings.Lines(r.log.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		all = append(all, fields)
	}
	return all
}

// last is the last log line.
func (r *rig) last(t testing.TB) map[string]any {
	t.Helper()
	all := r.lines(t)
	if len(all) == 0 {
		t.Fatal("nothing was logged")
	}
	return all[len(all)-1]
}
