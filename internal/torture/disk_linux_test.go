package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestFullDisk: in each kind of namespace a full disk refuses writes and takes them again when it is emptied, and nobody outside sees it.
func TestFullDisk(t *testing.T) {
	if canMount() {
		fullDisk(t, os.Getenv("TORTURE_TEST_FOLDER"))
		return
	}
	had := 0
	for _, attr := range namespaces() {
		folder := filepath.Join(t.TempDir(), "disk")
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestFullDisk$", "-test.v")
		cmd.Env = append(os.Environ(), ownMounts+"=1", "TORTURE_TEST_FOLDER="+folder)
		cmd.SysProcAttr = attr
		out, err := cmd.CombinedOutput()
		if errors.Is(err, syscall.EPERM) {
			t.Logf("this system does not let us have namespaces of our own (flags %x): %v", attr.Cloneflags, err)
			continue
		}
		had++
		if err != nil {
			t.Errorf("flags %x: %v\n%s", attr.Cloneflags, err, out)
		}
		if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
			t.Errorf("outside there is %v, %v", left, err)
		}
		if copied, err := os.ReadFile(filepath.Join(folder+"-copy", "a")); err != nil || string(copied) != "x" {
			t.Errorf("the copy is %q, %v", copied, err)
		}
	}
	switch {
	case had > 0:
	case os.Getuid() == 0:
		t.Error("root may not mount anything here, so no run of torture can count")
	default:
		t.Skip("no disk was filled: this system has no namespaces for who is not root")
	}
}

func fullDisk(t *testing.T, folder string) {
	d, err := newDisk(folder, true)
	if err != nil {
		t.Fatal(err)
	}
	big := make([]byte, 1<<20)
	write := func(name string, data []byte) error { return os.WriteFile(filepath.Join(folder, name), data, 0o600) }
	if err := write("a", []byte("x")); err != nil {
		t.Error(err)
	}
	for range 2 {
		empty, err := d.fill()
		if err != nil {
			t.Fatal(err)
		}
		var room syscall.Statfs_t
		err = until(t.Context(), readyWithin, func() bool {
			return syscall.Statfs(folder, &room) == nil && int64(room.Bavail)*room.Bsize < int64(len(big))
		})
		if err != nil {
			t.Errorf("it does not become full: %d blocks are free, %v", room.Bavail, err)
		}
		// A new file: to write one anew would first give back the room that it has.
		if err := write("more", big); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("a file of more than there is room for: %v", err)
		}
		if err := os.Remove(filepath.Join(folder, "more")); err != nil {
			t.Error(err)
		}
		if err := empty(); err != nil {
			t.Error(err)
		}
		if err := write("b", big); err != nil {
			t.Errorf("with room again: %v", err)
		}
	}
	if err := d.close(true); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("what is left: %v, %v", left, err)
	}
}
