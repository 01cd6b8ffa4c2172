package journal

import (
	"errors"
	"os"
	"syscall"
)

// datasync writes to the disk what is needed to read the file again; its times are not.
func datasync(f *os.File) error {
	for {
		if err := syscall.Fdatasync(int(f.Fd())); !errors.Is(err, syscall.EINTR) {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
