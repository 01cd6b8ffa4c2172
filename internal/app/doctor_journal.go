package app

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/millrace/millrace/internal/config"
)

// journal looks at the settings of a receiver's journal, and whether its folder can be one. lazy is how long a nats-server may take to
// write to its disk, how where that is known from.
func (d *Diagnosis) journal(cfg *config.Config, disk func(string) (Disk, error), lazy time.Duration, how string) {
	j := cfg.Receiver.Journal
	switch {
	case len(posting(cfg)) == 0:
		d.skip(codeJournal, "no source posts deliveries here")
		return
	case !journaled(cfg):
		d.skip(codeJournal, "receiver.durability is broker: what NATS has acknowledged is accepted, and while it is away every delivery is answered 503")
		return
	}
	if whole, err := filepath.Abs(j.Dir); err == nil {
		j.Dir = whole // so that it can be found
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
	d.journalDisk(j, disk)
	if j.Hold < 2*lazy {
		d.add(VerdictFail, codeJournal, "set receiver.journal.hold to "+(2*lazy).String()+" or more, twice the server's sync_interval",
			"events are held for %s, and a nats-server may take %s to write to its disk (%s): a power failure could lose some", j.Hold, lazy, how)
	}
	if again := j.Hold + j.Hold/4; cfg.NATS.DuplicateWindow < again {
		d.add(VerdictWarn, codeJournal, "set nats.duplicate_window to "+(2*j.Hold).String(),
			"after a reconnect up to %s of events are published again, and NATS recognises those of the last %s: the others are stored twice, which does no harm and costs work",
			again, cfg.NATS.DuplicateWindow)
	}
}

// Disk is what a folder is on.
type Disk struct {
	// Kind is the file system as Linux calls it: tmpfs, overlay, nfs …; "" for one of which there is nothing to say, or where nobody knows.
	Kind string
	// Free is how many bytes may still be written, below 0 when nobody knows.
	Free int64
}

// journalDisk tells whether what is written into the journal's folder stays there, and has room.
func (d *Diagnosis) journalDisk(j config.Journal, disk func(string) (Disk, error)) {
	there := j.Dir
	for {
		if _, err := os.Stat(there); err == nil || filepath.Dir(there) == there {
			break
		}
		there = filepath.Dir(there)
	}
	on, err := disk(there)
	if err != nil {
		d.add(VerdictWarn, codeDisk, "", "the disk of %s cannot be looked at: %v", there, err)
		return
	}
	switch on.Kind {
	case "tmpfs", "ramfs":
		d.add(VerdictFail, codeDisk, "set receiver.journal.dir to a folder on a disk", "%s is in memory (%s): what is accepted there is lost with the machine's power", j.Dir, on.Kind)
	case "overlay":
		d.add(VerdictFail, codeDisk, "mount a volume, or a folder of the machine, at receiver.journal.dir",
			"%s is in the container's own layer (overlay): when the container is made anew, what NATS does not have yet is lost", j.Dir)
	case "nfs", "cifs", "smb", "9p", "fuse", "ceph":
		d.add(VerdictWarn, codeDisk, "set receiver.journal.dir to a folder on a disk of this machine",
			"%s is on a file system of elsewhere (%s): whether it has written what it says it has, and keeps a second receiver out of the folder, is up to that", j.Dir, on.Kind)
	}
	if room := on.Free + sizeOf(j.Dir); on.Free >= 0 && room < int64(j.MaxBytes) {
		d.add(VerdictWarn, codeDisk, "make room, or set receiver.journal.max_bytes to what there is",
			"the disk of %s has room for %d bytes of the journal's %s: when it is full, deliveries are answered 503", j.Dir, room, j.MaxBytes)
	}
}

// sizeOf is how many bytes the files in a folder have.
func sizeOf(folder string) (total int64) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return 0 // it is not there yet
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			total += info.Size()
		}
	}
	return total
}
