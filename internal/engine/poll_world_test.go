package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
	"github.com/millrace/millrace/pkg/events"
)

const (
	otherJob = "0a0a0a0a1b1b1b1b2c2c2c2c3d3d3d3d"
	thirdJob = "7777777788888888999999990a0a0a0a"
)

// pollStore is records with real compare-and-set, and events, of which it keeps every publication.
type pollStore struct {
	mu        sync.Mutex
	records   map[string]pollEntry
	rev       uint64
	published []string // ids, in order
	events    map[string]*events.Event
	schedules []string

	calls   int // of all methods but reading
	breakAt int // this one fails …
	after   bool
	full    bool // events are refused
}

type pollEntry struct {
	data []byte
	rev  uint64
}

// step carries out one call, unless it is the one to break: before it did anything or, if after is set, after it did.
func (s *pollStore) step(do func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	broken := s.calls == s.breakAt
	if broken && !s.after {
		return errBroken
	}
	if err := do(); err != nil || !broken {
		return err
	}
	return errBroken
}

func (s *pollStore) Get(_ context.Context, subject string) ([]byte, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.records[subject]
	return bytes.Clone(e.data), e.rev, nil
}

func (s *pollStore) Create(ctx context.Context, subject string, data []byte) (uint64, error) {
	return s.Update(ctx, subject, data, 0)
}

func (s *pollStore) Update(_ context.Context, subject string, data []byte, rev uint64) (next uint64, err error) {
	err = s.step(func() error {
		if s.records[subject].rev != rev {
			return existsError{}
		}
		s.rev++
		s.records[subject] = pollEntry{bytes.Clone(data), s.rev}
		next = s.rev
		return nil
	})
	return next, err
}

func (s *pollStore) PublishEvent(_ context.Context, e *events.Event) (duplicate bool, err error) {
	err = s.step(func() error {
		if s.full {
			return errors.New("EVENTS is full")
		}
		_, duplicate = s.events[e.ID]
		s.published = append(s.published, e.ID)
		s.events[e.ID] = e
		return nil
	})
	return duplicate, err
}

func (s *pollStore) EnsurePoll(_ context.Context, id, pattern string) error {
	return s.step(func() error {
		if line := id + " " + pattern; !slices.Contains(s.schedules, line) {
			s.schedules = append(s.schedules, line)
		}
		return nil
	})
}

// expire forgets the records under a kind of subject.
func (s *pollStore) expire(kind string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for subject := range s.records {
		if strings.HasPrefix(subject, kind+".") {
			delete(s.records, subject)
			n++
		}
	}
	return n
}

// pollWorld is a CodeArts of our own over HTTP, with its clock, and the stores.
type pollWorld struct {
	t      *testing.T
	fake   *codeartstest.Fake
	clock  *clock
	client *codearts.Client
	store  *pollStore
	log    *lines
	limits PollLimits

	mu    sync.Mutex
	deny  map[string]int // HTTP status by what the path of a request holds
	asked []string       // paths
}

func newPollWorld(t *testing.T, opts codeartstest.Options) *pollWorld {
	t.Helper()
	w := &pollWorld{
		t: t, clock: &clock{at: start}, log: &lines{}, deny: map[string]int{},
		store: &pollStore{records: map[string]pollEntry{}, events: map[string]*events.Event{}},
	}
	opts.Tokens, opts.Now = []string{"token"}, w.clock.now
	w.fake = codeartstest.New(opts)
	t.Cleanup(w.fake.Close)
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	var err error
	w.client, err = codearts.New(codearts.Config{
		BuildEndpoint: server.URL, RepoEndpoint: server.URL, IAMEndpoint: server.URL,
		Credentials: codearts.StaticToken{Token: codearts.NewSecret("token")},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.fake.AddRepository(codeartstest.Repository{ID: "7", Path: "shop/orders"})
	w.fake.AddRepository(codeartstest.Repository{ID: "8", Path: "shop/pay"})
	w.fake.AddJob(codeartstest.Job{ID: jobID, ProjectID: projectID, Name: "orders-ci", RepoID: "7"})
	w.fake.AddJob(codeartstest.Job{ID: otherJob, ProjectID: projectID, Name: "pay-ci", RepoID: "8"})
	return w
}

// ServeHTTP is the CodeArts, which refuses what is to be refused.
func (w *pollWorld) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.asked = append(w.asked, r.URL.Path)
	status := 0
	for part, s := range w.deny {
		if strings.Contains(r.URL.Path, part) {
			status = s
		}
	}
	w.mu.Unlock()
	if status == 0 {
		w.fake.ServeHTTP(rw, r)
		return
	}
	rw.WriteHeader(status)
	fmt.Fprint(rw, `{"error_code":"TEST.refused","error_msg":"it does not work"}`)
}

// refuse answers requests whose path holds part with a status from now on; 0 is no more.
func (w *pollWorld) refuse(part string, status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.deny, part)
	if status != 0 {
		w.deny[part] = status
	}
}

// calls are the paths that were asked for since the last time, without the beginning they share.
func (w *pollWorld) calls() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for _, path := range w.asked {
		all = append(all, strings.TrimPrefix(path, "/v1/"))
	}
	w.asked = nil
	return all
}

func (w *pollWorld) source() PollSource {
	return PollSource{Name: "builds", Project: projectID, Every: time.Minute, Builds: w.client}
}

// worker is a poller as another process would have one.
func (w *pollWorld) worker(sources ...PollSource) *Poller {
	w.t.Helper()
	if len(sources) == 0 {
		sources = []PollSource{w.source()}
	}
	p, err := NewPoller(sources, PollStores{Records: w.store, Events: w.store, Schedules: w.store}, w.limits, zerolog.New(w.log), w.clock.now)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// poll lets a minute pass and polls; it returns what was published, in order, as "<task>-<number>" without the source.
func (w *pollWorld) poll(p *Poller) []string {
	w.t.Helper()
	w.clock.set(w.clock.now().Add(time.Minute))
	return w.pollNow(p)
}

func (w *pollWorld) pollNow(p *Poller) []string {
	w.t.Helper()
	before := len(w.store.published)
	for id := range p.sources {
		if err := p.Tick(w.t.Context(), Message{Header: map[string]string{headerSchedule: id}}); err != nil {
			w.t.Fatal(err)
		}
	}
	var all []string
	for _, id := range w.store.published[before:] {
		all = append(all, strings.TrimPrefix(id, "builds/"))
	}
	return all
}

// build starts a run of a task that takes so long.
func (w *pollWorld) build(job, status string, takes time.Duration) string {
	return fmt.Sprintf("%s-%d", job, w.fake.StartBuild(job, commitA, "main", status, takes))
}

// wants fails the test unless got is want, in any order.
func (w *pollWorld) wants(what string, got []string, want ...string) {
	w.t.Helper()
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		w.t.Errorf("%s: events %q, want %q", what, got, want)
	}
}

// failures are the reasons of the polls that failed.
func (w *pollWorld) failures() []string {
	var all []string
	for _, line := range w.log.all(w.t, "poll failed") {
		if line["level"] != "warn" || line["source"] != "builds" {
			w.t.Errorf("line %v", line)
		}
		all = append(all, line["reason"].(string))
	}
	return all
}
