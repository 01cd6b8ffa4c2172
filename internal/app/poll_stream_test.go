package app_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/internal/stream"
	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
	"github.com/millrace/millrace/pkg/events"
)

// publications are the stores of a poller in a real broker, which counts what is published, and may stand still for a moment.
type publications struct {
	*stream.Conn
	mu    sync.Mutex
	ids   map[string]int
	wrong error // what an Update after a publication fails with, once
}

func (p *publications) PublishEvent(ctx context.Context, e *events.Event) (duplicate bool, err error) {
	p.mu.Lock()
	p.ids[strings.TrimPrefix(e.ID, "builds/")]++
	p.mu.Unlock()
	return p.Conn.PublishEvent(ctx, e)
}

func (p *publications) Update(ctx context.Context, subject string, data []byte, rev uint64) (uint64, error) {
	if p.wrong != nil && strings.HasPrefix(subject, "polltask.") {
		err := p.wrong
		p.wrong = nil
		return 0, err
	}
	return p.Conn.Update(ctx, subject, data, rev)
}

// polling is a world whose project is polled by hand, at times of the fake's clock.
type polling struct {
	*world
	log    *journal
	stores *publications
	source engine.PollSource
}

func newPolling(t *testing.T) *polling {
	t.Helper()
	w := newWorld(t, settings{})
	if err := w.look().Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	client, err := codearts.New(codearts.Config{
		BuildEndpoint: w.codeArts, RepoEndpoint: w.codeArts, IAMEndpoint: w.codeArts,
		Credentials: codearts.Password{
			User: codeartstest.User, Domain: codeartstest.Domain, Password: codearts.NewSecret(password), ProjectName: codeartstest.ProjectName,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return &polling{
		world: w, log: new(journal), stores: &publications{Conn: w.look(), ids: map[string]int{}},
		source: engine.PollSource{Name: "builds", Project: projectID, Every: time.Minute, Builds: client},
	}
}

// worker is the handler of the polls of a worker of its own.
func (p *polling) worker() func() error {
	p.t.Helper()
	poller, err := engine.NewPoller([]engine.PollSource{p.source}, engine.PollStores{Records: p.stores, Events: p.stores, Schedules: p.stores},
		engine.PollLimits{}, zerolog.New(p.log), p.fake.Now)
	if err != nil {
		p.t.Fatal(err)
	}
	id, _ := p.source.Schedule()
	return func() error {
		return poller.Tick(p.t.Context(), engine.Message{Header: map[string]string{stream.HeaderScheduleID: id}})
	}
}

// after lets a time pass and polls; what has been published then since the last time is what is wanted, each once.
func (p *polling) after(what string, d time.Duration, poll func() error, want ...string) {
	p.t.Helper()
	p.fake.Advance(d)
	if err := poll(); err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
	p.published(what, want...)
}

func (p *polling) published(what string, want ...string) {
	p.t.Helper()
	counts := map[string]int{}
	for _, id := range want {
		counts[id] = 1
	}
	if diff := cmp.Diff(counts, p.stores.ids); diff != "" {
		p.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
	p.stores.ids = map[string]int{}
}

func (p *polling) build(status string, takes time.Duration) string {
	return fmt.Sprintf("%s-%d", jobID, p.fake.StartBuild(jobID, "85a0a9d5c6e43bc9c3e443ac01f789e24eeef02b", "main", status, takes))
}

// TestPollOnStream is the life of a source in a real broker, with a real CodeArts but for its being a fake.
func TestPollOnStream(t *testing.T) {
	t.Parallel()
	p := newPolling(t)
	one := p.worker()
	p.build("SUCCESS", 0)
	p.after("the first poll", time.Minute, one)
	quick, long := p.build("FAILED", 0), p.build("SUCCESS", time.Hour)
	p.after("a new one", time.Minute, one, quick)
	p.after("nothing", time.Minute, p.worker())
	p.after("the long one", time.Hour, p.worker(), long)

	p.fake.Fail("build_record", codeartstest.Failure{Times: 1, Status: http.StatusInternalServerError, Code: "CB.00060101", Message: "internal error"})
	failing := p.build("SUCCESS", 0)
	p.after("while it fails", time.Minute, one)
	p.after("when it does not", time.Minute, one, failing)

	throttled := codeartstest.Throttled()
	throttled.Times = 1
	p.fake.Fail("job_runs", throttled)
	held := p.build("SUCCESS", 0)
	p.after("while there are too many requests", time.Minute, one)
	p.after("when there are not", time.Minute, one, held)

	p.stores.wrong = context.DeadlineExceeded
	twice := p.build("SUCCESS", 0)
	p.after("before it is on record", time.Minute, one, twice)
	p.after("again, for it is not on record", time.Minute, one, twice)
	p.after("and no more", time.Minute, one)

	var meanwhile []string
	for range 50 {
		meanwhile = append(meanwhile, p.build("SUCCESS", time.Minute))
		p.fake.Advance(2 * time.Hour)
	}
	p.after("after days", time.Minute, p.worker(), meanwhile...)

	p.fake.Advance(time.Hour)
	p.after("an hour", 0, one)
	p.broker.Purge("RECORDS", "records.polltask.*")
	p.after("without the records of tasks", time.Minute, p.worker())
	p.broker.Purge("RECORDS", "records.poll*.*")
	p.after("without any records", time.Minute, p.worker())
	last := p.build("SUCCESS", 0)
	p.after("at last", time.Minute, one, last)
	if n := len(p.log.lines("poll failed", "source", "builds")); n != 3 {
		t.Errorf("%d polls failed:\n%s", n, p.log)
	}
}

// TestPollsAtOnce: workers that poll at the same time publish everything that finishes, and what one has on record no other
// publishes again.
func TestPollsAtOnce(t *testing.T) {
	t.Parallel()
	p := newPolling(t)
	workers := []func() error{p.worker(), p.worker(), p.worker()}
	p.after("the first poll", time.Minute, workers[0])
	want := map[string]bool{}
	for round := range 10 {
		for range 5 {
			want[p.build("SUCCESS", time.Duration(round)*20*time.Second)] = true
		}
		p.fake.Advance(time.Minute)
		var all sync.WaitGroup
		for _, poll := range workers {
			all.Go(func() {
				if err := poll(); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	p.fake.Advance(time.Hour)
	if err := workers[1](); err != nil {
		t.Fatal(err)
	}
	p.published("all together", slices.Collect(maps.Keys(want))...)
	if n := p.counts().Events; n != uint64(len(want)) {
		t.Errorf("%d events of %d builds", n, len(want))
	}
}
