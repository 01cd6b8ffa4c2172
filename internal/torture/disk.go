//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// diskBytes is how large the disk of one receiver's journal is; its journal may be larger, so that the disk is full first.
const diskBytes = 32 << 20

// disk is what the journal of a receiver is on: small and of its own, where the system lets us mount one.
type disk struct {
	folder  string
	mounted bool
}

// newDisk makes a disk at a folder that is not there yet.
func newDisk(folder string, mounts bool) (*disk, error) {
	if err := os.Mkdir(folder, 0o700); err != nil {
		return nil, err
	}
	d := &disk{folder: folder}
	if !mounts {
		return d, nil
	}
	if err := mountSmall(folder, diskBytes); err != nil {
		return nil, fmt.Errorf("mount a small disk at %s: %w", folder, err)
	}
	d.mounted = true
	return d, nil
}

// journal is the folder for the journal.
func (d *disk) journal() string { return filepath.Join(d.folder, "journal") }

// fill takes all room there is, and what becomes free, until empty gives it back.
func (d *disk) fill() (empty func() error, err error) {
	ballast, err := os.OpenFile(filepath.Join(d.folder, "ballast"), os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	stop, done := make(chan struct{}), make(chan error)
	go func() { done <- takeAll(ballast, stop) }()
	return func() error {
		close(stop)
		return errors.Join(<-done, ballast.Close(), os.Remove(ballast.Name()))
	}, nil
}

// takeAll writes until there is no room, again and again.
func takeAll(ballast *os.File, stop <-chan struct{}) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for block := make([]byte, 64<<10); ; {
		for size := len(block); size > 0; {
			if _, err := ballast.Write(block[:size]); errors.Is(err, syscall.ENOSPC) {
				size /= 2
			} else if err != nil {
				return err
			}
		}
		select {
		case <-stop:
			return nil
		case <-tick.C:
		}
	}
}

// close puts the disk away. What is on it is gone with it; with keep there is a copy beside it.
func (d *disk) close(keep bool) error {
	if !d.mounted {
		return nil
	}
	var err error
	if keep {
		err = os.CopyFS(d.folder+"-copy", os.DirFS(d.folder))
	}
	return errors.Join(err, unmount(d.folder))
}
