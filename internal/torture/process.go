//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	readyWithin = 2 * time.Minute // a process that was started
	restAfter   = 300 * time.Millisecond
	stopWithin  = 20 * time.Second
)

// process is a program that is started again whenever it ends, as an init system would, until stop.
type process struct {
	name string
	args []string // the program first
	env  []string
	log  io.WriteCloser // gets what it writes
	// ready tells whether a line it wrote says that it is ready; line, if set, is told every line.
	ready func(line []byte) bool
	line  func(line []byte)
	// started, if set, is called each time it is ready, before anybody who waits for it goes on.
	started func(pid int) error

	// dark is held by whoever does not want it to be started again yet.
	dark sync.Mutex
	// busy is held by whoever does something to the process.
	busy sync.Mutex
	up   atomic.Bool

	mu      sync.Mutex
	cmd     *exec.Cmd
	rest    time.Duration // before it is started again
	killed  bool          // by us, this time
	stopped bool
	crashes int           // how often it ended by itself
	over    chan struct{} // closed when it has been stopped
	gone    int           // how often it ended
	last    string        // line it wrote
}

// keep starts the process and keeps it running.
func (p *process) keep() {
	p.over = make(chan struct{})
	go func() {
		defer close(p.over)
		for p.run() {
			p.mu.Lock()
			rest := p.rest
			p.rest = restAfter
			p.mu.Unlock()
			timer := time.NewTimer(rest)
			<-timer.C
			p.dark.Lock()
			p.dark.Unlock() //nolint:staticcheck // it is only waited for
		}
	}()
}

// run runs it once; false: it is not to run again.
func (p *process) run() bool {
	cmd := exec.Command(p.args[0], p.args[1:]...) //nolint:noctx // it is ended by signals, each for a reason
	cmd.Env = p.env
	dieWithUs(cmd)
	out, in, err := os.Pipe()
	if err != nil {
		p.say("no pipe: %v", err)
		return p.goOn()
	}
	cmd.Stdout, cmd.Stderr = in, in
	p.mu.Lock()
	if p.stopped {
		p.mu.Unlock()
		_, _ = in.Close(), out.Close()
		return false
	}
	err = cmd.Start()
	p.cmd, p.killed = cmd, false
	p.mu.Unlock()
	_ = in.Close()
	if err == nil {
		p.read(cmd, out)
		err = cmd.Wait()
	}
	_ = out.Close()
	p.up.Store(false)
	p.say("ended: %v", err)
	return p.goOn()
}

func (p *process) say(format string, args ...any) {
	fmt.Fprintf(p.log, "torture: "+format+"\n", args...)
}

// goOn tells whether to start it again.
func (p *process) goOn() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd = nil
	p.gone++
	if !p.killed && !p.stopped {
		p.crashes++
	}
	return !p.stopped
}

// read reads what it writes until it ends.
func (p *process) read(cmd *exec.Cmd, out io.Reader) {
	lines := bufio.NewReaderSize(out, 64<<10)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			_, _ = p.log.Write(line)
			p.remember(line)
			if p.line != nil {
				p.line(line)
			}
			if !p.up.Load() && p.ready(line) {
				p.begin(cmd.Process.Pid)
			}
		}
		if err != nil {
			return
		}
	}
}

// remember keeps a line for whoever wants to know why the process is not ready.
func (p *process) remember(line []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = string(line[:min(len(line), 500)])
}

func (p *process) begin(pid int) {
	if p.started != nil {
		if err := p.started(pid); err != nil {
			p.say("not of use: %v", err)
			p.signal(syscall.SIGKILL)
			return
		}
	}
	p.up.Store(true)
}

// signal sends a signal; false: there is no process.
func (p *process) signal(s syscall.Signal) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd != nil && p.cmd.Process != nil && p.cmd.Process.Signal(s) == nil
}

// kill kills it where it stands; it is started again after rest. false: there is no process.
func (p *process) kill(rest time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil || p.cmd.Process == nil || p.cmd.Process.Kill() != nil {
		return false
	}
	p.rest, p.killed = rest, true
	p.up.Store(false)
	return true
}

// current is a number that is another one once the process that runs now is gone.
func (p *process) current() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gone
}

// awaitReady waits until it is ready.
func (p *process) awaitReady(ctx context.Context) error {
	err := until(ctx, readyWithin, p.up.Load)
	if err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		return fmt.Errorf("%s is not ready: %w; it ended %d times, and its last word was: %s", p.name, err, p.gone, p.last)
	}
	return nil
}

// stop ends it, by force if it takes long, and closes its log.
func (p *process) stop() {
	if p.over == nil {
		return
	}
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	p.signal(syscall.SIGCONT)
	p.signal(syscall.SIGTERM)
	timer := time.NewTimer(stopWithin)
	defer timer.Stop()
	select {
	case <-p.over:
	case <-timer.C:
		p.signal(syscall.SIGKILL)
		<-p.over
	}
	_ = p.log.Close()
}

var errLimit = errors.New("the limit of time is over")

// until waits until ok, asked again and again, is true.
func until(ctx context.Context, limit time.Duration, ok func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w: %s", errLimit, limit))
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
