//go:build unix

package main

import (
	"context"
	"crypto/rand"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"text/template"
)

//go:embed setup
var setup embed.FS

// site is the folder of a run, and what is to be put away at its end.
type site struct {
	folder, bin string
	progress    func(format string, args ...any)

	mu    sync.Mutex
	links []*link
	disks []*disk
	procs []*process
}

func newSite(bin string, progress func(string, ...any)) (*site, error) {
	folder, err := os.MkdirTemp("", "millrace-torture-")
	if err != nil {
		return nil, err
	}
	return &site{folder: folder, bin: bin, progress: progress}, nil
}

// build builds all programs into a folder; tags are for our own.
func build(ctx context.Context, folder, tags string) error {
	for _, args := range [][]string{
		{"-tags", tags, "./cmd/receiver", "./cmd/worker"},
		{"github.com/nats-io/nats-server/v2"},
	} {
		out, err := exec.CommandContext(ctx, "go", append([]string{"build", "-o", folder + string(filepath.Separator)}, args...)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("go build %v: %w\n%s", args, err, out)
		}
	}
	return nil
}

// write fills in a template of the setup.
func (s *site) write(name, file string, values any) error {
	t, err := template.ParseFS(setup, "setup/"+name)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err := t.Execute(out, values); err != nil {
		_ = out.Close()
		return fmt.Errorf("write %s: %w", file, err)
	}
	return out.Close()
}

// lay makes a link.
func (s *site) lay(ctx context.Context, take func(*link)) error {
	l, err := newLink(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.links = append(s.links, l)
	s.mu.Unlock()
	take(l)
	return nil
}

// disk makes a disk in the folder of the run.
func (s *site) disk(name string) (*disk, error) {
	d, err := newDisk(filepath.Join(s.folder, name), canMount())
	if err == nil {
		s.disks = append(s.disks, d)
	}
	return d, err
}

// process makes a process with a log of its own; it is not started yet.
func (s *site) process(name string, env []string, args ...string) (*process, error) {
	log, err := os.Create(filepath.Join(s.folder, name+".log"))
	if err != nil {
		return nil, err
	}
	p := &process{name: name, args: args, env: append([]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + s.folder}, env...), log: log, rest: restAfter}
	s.mu.Lock()
	s.procs = append(s.procs, p)
	s.mu.Unlock()
	return p, nil
}

// close ends all processes and links, last made first, and removes the folder unless it is wanted.
func (s *site) close(keep bool) {
	for i := len(s.procs) - 1; i >= 0; i-- {
		s.procs[i].stop()
	}
	for _, l := range s.links {
		l.close()
	}
	for _, d := range s.disks {
		if err := d.close(keep); err != nil {
			s.progress("put away %s: %v", d.folder, err)
		}
	}
	if keep {
		s.progress("logs and stores are in %s", s.folder)
		return
	}
	if err := os.RemoveAll(s.folder); err != nil {
		s.progress("remove %s: %v", s.folder, err)
	}
}

// secret is a new one.
func secret() string { return rand.Text() }
