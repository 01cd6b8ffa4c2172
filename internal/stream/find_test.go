package stream

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/millrace/millrace/internal/stream/streamtest"
)

func TestFindEvent(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	ctx := t.Context()
	none, err := c.FindEvent(ctx, "gitlab/1", time.Time{})
	if err != nil || none != nil {
		t.Fatalf("an empty store has %+v, %v", none, err)
	}
	var third time.Time
	for i := range 2500 {
		e := event(fmt.Sprint(i))
		if i%2 == 1 {
			e.Source, e.ID = "other", "other/"+fmt.Sprint(i)
		}
		if i == 1002 {
			e.ID = "gitlab/two words %"
			e.Body = []byte(`{"object_kind":"push"}`)
		}
		if _, err := c.PublishEvent(ctx, e); err != nil {
			t.Fatal(err)
		}
		if i == 1500 {
			found, err := c.FindEvent(ctx, "gitlab/1500", time.Time{})
			if err != nil || found == nil {
				t.Fatal(found, err)
			}
			third = found.Stored
		}
	}
	found, err := c.FindEvent(ctx, "gitlab/two words %", time.Time{})
	if err != nil || found == nil || found.Sequence != 1003 || string(found.Body) != `{"object_kind":"push"}` || found.Type != "merge_request.open" || found.Stored.IsZero() {
		t.Errorf("%+v, %v", found, err)
	}
	for id, want := range map[string]bool{"gitlab/2498": true, "gitlab/1500": true, "gitlab/1498": false, "other/2499": true, "gitlab/2499": false, "gitlab/9999": false} {
		found, err := c.FindEvent(ctx, id, third)
		if err != nil || (found != nil) != want {
			t.Errorf("%s from then on: %+v, %v", id, found, err)
		}
	}
	if _, err := c.FindEvent(ctx, "nonsense", time.Time{}); err == nil || !strings.Contains(err.Error(), "a source, a slash") {
		t.Errorf("%v", err)
	}
	s, err := c.js.Stream(ctx, string(Events))
	if err != nil {
		t.Fatal(err)
	}
	for name := range s.ConsumerNames(ctx).Name() {
		t.Errorf("consumer %s is left behind", name)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := c.FindEvent(gone, "gitlab/9999", time.Time{}); err == nil {
		t.Error("nobody waited for it, and it says there is none")
	}
	if err := s.Purge(ctx, jetstream.WithPurgeSequence(found.Sequence+1)); err != nil {
		t.Fatal(err)
	}
	if again, err := c.FindEvent(ctx, "gitlab/two words %", time.Time{}); err != nil || again != nil {
		t.Errorf("purged: %+v, %v", again, err)
	}
}

func TestLastEvent(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	for want := range uint64(3) {
		if got, err := c.LastEvent(t.Context()); got != want || err != nil {
			t.Errorf("%d, %v, want %d", got, err, want)
		}
		if _, err := c.PublishEvent(t.Context(), event(fmt.Sprint(want))); err != nil {
			t.Fatal(err)
		}
	}
	s, err := c.stream(t.Context(), Events)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := c.LastEvent(t.Context()); got != 3 || err != nil {
		t.Errorf("when all were purged: %d, %v", got, err)
	}
}
