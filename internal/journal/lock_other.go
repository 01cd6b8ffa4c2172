//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package journal

import (
	"errors"
	"os"
)

// lockFile fails: without a lock two receivers could share a journal and remove each other's events.
func lockFile(*os.File) error {
	return errors.New("this system has no file locks that a journal can use; set receiver.durability to broker")
}
