package journal

import (
	"context"
	"testing"

	"github.com/millrace/millrace/pkg/events"
)

// TestUnpublishedWhilePublishing: what is being published counts until the broker has it.
func TestUnpublishedWhilePublishing(t *testing.T) {
	w := newWorld(t)
	w.open()
	w.broker.say(errAway)
	w.put("shop/1", "shop/2")
	all := w.journal.Stats().Bytes
	slow := newGate()
	w.broker.do(func(context.Context, *events.Event) error { return slow.pass() })
	w.journal.Reconnected()
	<-slow.reached
	if s := w.journal.Stats(); s.Unpublished == 0 || s.Unpublished > all {
		t.Errorf("%+v", s)
	}
	close(slow.opened)
	eventually(t, "the end of it", w.published)
}
