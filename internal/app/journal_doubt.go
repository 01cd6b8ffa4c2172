package app

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// doubt is whether NATS may have lost what followed from an event and not the event: a server syncs each stream to its disk by itself, so
// after a loss of power they are not of one moment. While there is doubt, what is published again and is there already is also matched once
// more; records absorb what was not lost.
//
// There is doubt after a connection to a server process that this receiver does not know, as each start of a server is another one, and when
// EVENTS went back, or was away and has not copies enough; until the journal has published all that it holds. The servers that are known are kept in a file beside the journal:
// without it, or with an old one, there is more doubt and not less.
type doubt struct {
	file string

	mu     sync.Mutex
	known  []string // ids of server processes, newest last
	server string   // the one we were connected to last
	is     bool
	since  uint64 // changes with every reason
}

// keptServers is how many servers are known at most.
const keptServers = 16

// serversFile is in the folder of the journal.
const serversFile = "servers"

func newDoubt(folder string) *doubt {
	d := &doubt{file: filepath.Join(folder, serversFile)}
	f, err := os.Open(d.file)
	if err != nil {
		return d
	}
	defer func() { _ = f.Close() }()                          // only read
	data, _ := io.ReadAll(io.LimitReader(f, 128*keptServers)) // what cannot be read is not known
	d.known = strings.Fields(string(data))
	return d
}

// connected is told of each connection, by the id of the server process.
func (d *doubt) connected(server string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.server = server; !slices.Contains(d.known, server) {
		d.raiseLocked()
	}
}

// raise says that EVENTS may have lost something: there is doubt, whatever server we are connected to.
func (d *doubt) raise() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.raiseLocked()
}

func (d *doubt) raiseLocked() {
	d.is = true
	d.since++
}

// state is whether there is doubt, and what to give to end.
func (d *doubt) state() (is bool, since uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.is, d.since
}

// end ends the doubt unless there was another reason since; the server we are connected to is known from now on.
func (d *doubt) end(since uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.is || d.since != since {
		return nil
	}
	d.is = false
	if d.server == "" || slices.Contains(d.known, d.server) {
		return nil
	}
	d.known = append(d.known, d.server)
	d.known = d.known[max(0, len(d.known)-keptServers):]
	next := d.file + ".new"
	if err := os.WriteFile(next, []byte(strings.Join(d.known, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(next, d.file)
}
