package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
)

// ownMounts is set for a process that is in a mount namespace of its own: nobody else sees what it mounts, and it is gone with the last process
// in it, whatever that one dies of.
const ownMounts = "TORTURE_OWN_MOUNTS"

// canMount tells whether this process may mount disks.
func canMount() bool { return os.Getenv(ownMounts) != "" }

// withMounts runs this program once more where it may mount disks, and returns its exit code. An error: the system does not let us.
func withMounts() (code int, err error) {
	// The child is killed when the thread that has started it ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	var refusals error
	for _, attr := range namespaces() {
		cmd := exec.Command("/proc/self/exe", os.Args[1:]...) //nolint:noctx // it gets our signals
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		cmd.Env = append(os.Environ(), ownMounts+"=1")
		cmd.SysProcAttr = attr
		if err := cmd.Start(); err != nil {
			refusals = errors.Join(refusals, err)
			continue
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		for {
			select {
			case s := <-signals:
				_ = cmd.Process.Signal(s)
			case err := <-ended:
				var failed *exec.ExitError
				switch {
				case err == nil:
					return 0, nil
				case errors.As(err, &failed) && failed.ExitCode() > 0:
					return failed.ExitCode(), nil
				}
				return 1, nil // it was killed
			}
		}
	}
	return 0, refusals
}

// namespaces are the ways to get one: as root, or as somebody who is root in there.
func namespaces() []*syscall.SysProcAttr {
	own := func(id int) []syscall.SysProcIDMap { return []syscall.SysProcIDMap{{HostID: id, Size: 1}} }
	asRoot := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWNS}
	asAnybody := &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
		UidMappings: own(os.Getuid()), GidMappings: own(os.Getgid()),
	}
	if os.Getuid() == 0 {
		return []*syscall.SysProcAttr{asRoot, asAnybody}
	}
	return []*syscall.SysProcAttr{asAnybody}
}

// mountSmall mounts a small disk, in memory, at a folder.
func mountSmall(folder string, bytes int) error {
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts to ourselves: %w", err)
	}
	return syscall.Mount("tmpfs", folder, "tmpfs", syscall.MS_NODEV|syscall.MS_NOSUID, fmt.Sprintf("size=%d,mode=0700", bytes))
}

func unmount(folder string) error { return syscall.Unmount(folder, syscall.MNT_DETACH) }
