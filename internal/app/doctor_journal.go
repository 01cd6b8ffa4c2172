package app

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/millrace/millrace/internal/config"
)

// lazySync is how long a nats-server may take to write to its disk, unless its sync_interval is set.
const lazySync = 2 * time.Minute

// journal looks at the settings of a receiver's journal, and whether its folder can be one.
func (d *Diagnosis) journal(cfg *config.Config) {
	j := cfg.Receiver.Journal
	if !journaled(cfg) {
		d.skip(codeJournal, "receiver.durability is broker: what NATS has acknowledged is accepted, and while it is away every delivery is answered 503")
		return
	}
	info, err := os.Stat(j.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.ok(codeJournal, "%s is not there yet; the receiver makes it", j.Dir)
	case err != nil:
		d.add(VerdictFail, codeJournal, "let the receiver's user read and write it, or set receiver.journal.dir to another folder", "the folder cannot be looked at: %v", err)
	case !info.IsDir():
		d.add(VerdictFail, codeJournal, "set receiver.journal.dir to a folder", "%s is not a folder", j.Dir)
	default:
		d.ok(codeJournal, "%s holds at most %s", j.Dir, j.MaxBytes)
	}
	if j.Hold < 2*lazySync {
		d.add(VerdictWarn, codeJournal, "set receiver.journal.hold to twice the server's sync_interval, or more",
			"events are held for %s, and a nats-server may take %s to write to its disk unless it is told otherwise: a power failure could lose some", j.Hold, lazySync)
	}
	if again := j.Hold + j.Hold/4; cfg.NATS.DuplicateWindow < again {
		d.add(VerdictWarn, codeJournal, "set nats.duplicate_window to "+(2*j.Hold).String(),
			"after a reconnect up to %s of events are published again, and NATS recognises those of the last %s: the others are stored twice, which does no harm and costs work",
			again, cfg.NATS.DuplicateWindow)
	}
}
