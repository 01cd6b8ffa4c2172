//go:build unix

package main

import (
	"bytes"
	"sync"
)

// trap waits for a worker to write a line that has all these texts in it.
type trap struct {
	texts [][]byte
	// spring does what is to be done, at once; false: it could not, the trap stays.
	spring func(w *worker) bool
}

// traps are those that are set.
type traps struct {
	mu  sync.Mutex
	set []*trap
}

func (ts *traps) add(t *trap) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.set = append(ts.set, t)
}

// remove tells whether the trap was still set.
func (ts *traps) remove(t *trap) bool {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for i, other := range ts.set {
		if other == t {
			ts.set = append(ts.set[:i], ts.set[i+1:]...)
			return true
		}
	}
	return false
}

// spring springs the first trap that a line fits.
func (ts *traps) spring(w *worker, line []byte) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for i, t := range ts.set {
		if t.fits(line) && t.spring(w) {
			ts.set = append(ts.set[:i], ts.set[i+1:]...)
			return
		}
	}
}

func (t *trap) fits(line []byte) bool {
	for _, text := range t.texts {
		if !bytes.Contains(line, text) {
			return false
		}
	}
	return true
}
