package journal

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

const suffix = ".journal"

// segment is one file of records. Its fields, but for the first three, belong to the journal's lock.
type segment struct {
	name   string
	number uint64
	salt   uint64

	synced int64     // bytes that are on the disk: whole records, but for damage
	begun  time.Time // when it was made, or found
	sealed bool      // nothing is added any more

	// dirty is the place from which records may not be with the broker; clean, when all before synced are, or have a request of their own
	// that publishes them.
	dirty int64
	// flying are the places of the records whose requests publish them.
	flying map[int64]bool
	// reading is the place from which it is being published from the file, or clean.
	reading int64
	// unread is the place from which the file could not be read, or clean.
	unread int64
	// unsized: it could not be looked at when it was found, so synced is not known.
	unsized bool
	// stuck: it has an event that the broker will never take as it is.
	stuck bool
	// touched is when the broker last took something of it that it did not have, but for times when it was lost.
	touched time.Time
	// had: the broker had all of it when it was found again. What it then calls a duplicate it has had since.
	had bool
}

// clean is the dirty of a segment that has nothing to be published.
const clean = -1

// need marks what begins at a place to be published from the file.
func (s *segment) need(at int64) {
	if s.had = false; s.dirty == clean || at < s.dirty {
		s.dirty = at
	}
}

// again marks all of it to be published once more.
func (s *segment) again() {
	had := s.had || s.done()
	s.stuck, s.unread = false, clean
	if s.synced > 0 || s.unsized {
		s.need(0)
	}
	s.had = had
}

// unpublished is how many bytes of it the broker may not have, but for those in flight.
func (s *segment) unpublished() int64 {
	switch {
	case s.reading != clean && (s.dirty == clean || s.reading < s.dirty):
		return s.synced - s.reading
	case s.dirty != clean:
		return s.synced - s.dirty
	}
	return 0
}

// done tells whether the broker has all of it.
func (s *segment) done() bool {
	return s.dirty == clean && len(s.flying) == 0 && s.reading == clean && !s.stuck && s.unread == clean
}

func newSegment(number uint64, now time.Time) *segment {
	var salt [8]byte
	_, _ = rand.Read(salt[:]) // never fails
	s := &segment{number: number, salt: binary.LittleEndian.Uint64(salt[:]), begun: now, touched: now, dirty: clean, reading: clean, unread: clean, flying: make(map[int64]bool)}
	s.name = fmt.Sprintf("%016x-%016x%s", s.number, s.salt, suffix)
	return s
}

// parseName reads the name of a segment's file.
func parseName(name string) (number, salt uint64, ok bool) {
	stem, ok := strings.CutSuffix(name, suffix)
	if !ok || len(stem) != 33 || stem[16] != '-' {
		return 0, 0, false
	}
	number, err1 := strconv.ParseUint(stem[:16], 16, 64)
	salt, err2 := strconv.ParseUint(stem[17:], 16, 64)
	return number, salt, err1 == nil && err2 == nil && fmt.Sprintf("%016x-%016x", number, salt) == stem
}

// found is a segment that was there before, and what is in it.
type found struct {
	*segment
	events     int
	lost, torn int64 // bytes, see scanner
	err        error // of reading; what was read until then counts
}

// find looks through the segments on a disk, oldest first. What is torn is cut off. strange are the files that are none and are named like it.
func find(d disk, now time.Time) (all []found, strange []string, err error) {
	names, err := d.names()
	if err != nil {
		return nil, nil, err
	}
	slices.Sort(names) // by number
	for _, name := range names {
		if !strings.HasSuffix(name, suffix) {
			continue
		}
		number, salt, ok := parseName(name)
		if !ok {
			strange = append(strange, name)
			continue
		}
		f := found{segment: &segment{name: name, number: number, salt: salt, begun: now, touched: now, sealed: true, reading: clean, unread: clean, flying: make(map[int64]bool)}}
		f.look(d)
		all = append(all, f)
	}
	return all, strange, nil
}

// openSized opens a file, and says how large it is.
func openSized(d disk, name string) (data readFile, size int64, err error) {
	if data, err = d.open(name); err != nil {
		return nil, 0, err
	}
	if size, err = data.size(); err != nil {
		return nil, 0, errors.Join(err, data.Close())
	}
	return data, size, nil
}

// look counts the events of a segment, and cuts off what is torn.
func (f *found) look(d disk) {
	data, size, err := openSized(d, f.name)
	if err != nil {
		f.err, f.unsized = err, true
		return
	}
	defer func() { _ = data.Close() }() // only read
	f.synced = size                     // also when it cannot be read: it takes room
	scan := scanner{from: data, salt: f.salt, end: size}
	for {
		if _, _, err = scan.next(); err != nil {
			break
		}
		f.events++
	}
	f.lost, f.torn = scan.lost, scan.torn
	if !errors.Is(err, io.EOF) {
		f.err = err
		return
	}
	if f.torn > 2*maxBatch { // no write is that large
		f.lost, f.torn = f.lost+f.torn, 0
	}
	if f.torn > 0 {
		f.err = d.truncate(f.name, size-f.torn)
		if f.err == nil {
			f.synced = size - f.torn
		}
	}
}
