package app_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/config"
)

// What a child process is told by its environment, and what it says on its standard output.
const (
	childConfig = "CRASHTEST_CONFIG" // file of its configuration
	childBrake  = "CRASHTEST_BRAKE"  // a brake as JSON, or nothing
	childRole   = "CRASHTEST_ROLE"   // receiver, or nothing for a worker

	saidReady  = "ready" // and a receiver's address
	saidBraked = "braked"
)

// brake stops a worker at a line of its log.
type brake struct {
	Message string            // of the line
	Fields  map[string]string // it must have
	Nth     int               // which of those lines, 0 and 1 are the first
	// Freeze lets nothing else of the worker go on past its next line of the log.
	Freeze bool
	// Pass lets the worker go on: it only says that it was there.
	Pass bool
}

func (b brake) String() string {
	data, _ := json.Marshal(b)
	return string(data)
}

// brakeWriter is a log that never returns from writing the wanted line.
type brakeWriter struct {
	brake
	log, say io.Writer

	mu   sync.Mutex
	seen int
}

func (w *brakeWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	n, err := w.log.Write(p)
	if w.Message == "" || !w.fits(p) {
		w.mu.Unlock()
		return n, err
	}
	if w.seen++; w.seen != max(w.Nth, 1) {
		w.mu.Unlock()
		return n, err
	}
	fmt.Fprintln(w.say, saidBraked)
	if w.Pass {
		w.mu.Unlock()
		return n, err
	}
	if !w.Freeze {
		w.mu.Unlock()
	}
	select {}
}

func (w *brakeWriter) fits(p []byte) bool { return fits(parseLine(p), w.Message, w.Fields) }

// parseLine reads a line of the log; nil if it is none.
func parseLine(p []byte) map[string]any {
	var line map[string]any
	if json.Unmarshal(p, &line) != nil {
		return nil
	}
	return line
}

func fits(line map[string]any, message string, fields map[string]string) bool {
	if line["message"] != message {
		return false
	}
	for name, want := range fields {
		if have, ok := line[name]; !ok || fmt.Sprint(have) != want {
			return false
		}
	}
	return true
}

// childMain is the worker or receiver process. It ends by SIGTERM, by SIGKILL, and when the test that started it is gone.
func childMain() int {
	log := &brakeWriter{log: os.Stderr, say: os.Stdout}
	if text := os.Getenv(childBrake); text != "" {
		if err := json.Unmarshal([]byte(text), &log.brake); err != nil {
			fmt.Fprintln(os.Stderr, "brake:", err)
			return 2
		}
	}
	go func() { // ends with the process
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
	os.Args = []string{os.Args[0], "--config", os.Getenv(childConfig)}
	if os.Getenv(childRole) == "receiver" {
		return app.Server{
			Name: "receiver", Drain: func(cfg *config.Config) time.Duration { return cfg.Receiver.Drain },
			Run: func(ctx context.Context, cfg *config.Config, _ io.Writer) error {
				return app.Receiver(ctx, cfg, log, func(addr string) { fmt.Println(saidReady, "http://"+addr) })
			},
		}.Main()
	}
	return app.Server{
		Name: "worker", Drain: func(cfg *config.Config) time.Duration { return cfg.Worker.Drain },
		Run: func(ctx context.Context, cfg *config.Config, _ io.Writer) error {
			return app.Worker(ctx, cfg, log, func() { fmt.Println(saidReady) })
		},
	}.Main()
}

// process is a child as its parent sees it.
type process struct {
	t     testing.TB
	name  string
	cmd   *exec.Cmd
	log   *journal
	ready chan struct{} // closed when it said so
	addr  string        // of a receiver, after ready
	brake chan struct{}
	ended chan struct{} // closed when it is dead and waited for
	err   error         // of the wait, after ended
}

// startWorker starts a worker process with the world's configuration and waits until it is ready.
func (w *world) startWorker(name string, b brake) *process {
	w.t.Helper()
	var more []string
	if b.Message != "" {
		more = append(more, childBrake+"="+b.String())
	}
	return w.startChild(name, more...)
}

// startReceiverProcess starts a receiver process; deliveries go to it from now on.
func (w *world) startReceiverProcess(name string) *process {
	w.t.Helper()
	p := w.startChild(name, childRole+"=receiver")
	w.receiver = p.addr
	return p
}

// startChild starts a process with more in its environment, and waits until it is ready.
func (w *world) startChild(name string, environ ...string) *process {
	w.t.Helper()
	p := w.beginChild(name, environ...)
	p.whenReady()
	return p
}

// beginChild starts a process.
func (w *world) beginChild(name string, environ ...string) *process {
	w.t.Helper()
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	p := &process{
		t: w.t, name: name, cmd: exec.Command(self), log: new(journal),
		ready: make(chan struct{}), brake: make(chan struct{}), ended: make(chan struct{}),
	}
	p.cmd.Env = append(os.Environ(), w.environ()...)
	p.cmd.Env = append(append(p.cmd.Env, childConfig+"="+w.file), environ...)
	p.cmd.Stderr = p.log
	stdin, err := p.cmd.StdinPipe() // open for as long as this process lives
	if err != nil {
		w.t.Fatal(err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go p.watch(stdin, stdout)
	w.t.Cleanup(p.clean)
	return p
}

func (p *process) whenReady() {
	p.t.Helper()
	select {
	case <-p.ready:
	case <-p.ended:
		p.t.Fatalf("%s ended before it was ready: %v", p.name, p.err)
	case <-time.After(patience):
		p.t.Fatalf("%s was not ready after %s", p.name, patience)
	}
}

// watch reads what the process says until it ends, and waits for it.
func (p *process) watch(stdin io.Closer, stdout io.Reader) {
	defer close(p.ended)
	for s := bufio.NewScanner(stdout); s.Scan(); {
		said, addr, _ := strings.Cut(s.Text(), " ")
		switch said {
		case saidReady:
			p.addr = addr
			close(p.ready)
		case saidBraked:
			close(p.brake)
		}
	}
	p.err = p.cmd.Wait()
	_ = stdin.Close()
}

// clean makes sure the process is gone, and shows its log if the test has failed.
func (p *process) clean() {
	_ = p.cmd.Process.Kill()
	<-p.ended
	if text := p.log.String(); p.t.Failed() {
		p.t.Logf("log of %s:\n%s", p.name, text)
	} else if strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic:") {
		p.t.Errorf("%s has gone wrong:\n%s", p.name, text)
	}
}

// braked waits until the process stands at its brake.
func (p *process) braked() {
	p.t.Helper()
	select {
	case <-p.brake:
	case <-p.ended:
		p.t.Fatalf("%s ended before it came to its brake: %v", p.name, p.err)
	case <-time.After(patience):
		p.t.Fatalf("%s did not come to its brake within %s", p.name, patience)
	}
}

// kill kills the process where it stands, and makes sure that this is what it died of.
func (p *process) kill() {
	p.t.Helper()
	select {
	case <-p.ended:
		p.t.Fatalf("%s was to be killed and has ended before: %v", p.name, p.err)
	default:
	}
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatalf("kill %s: %v", p.name, err)
	}
	<-p.ended
	var exit *exec.ExitError
	if !errors.As(p.err, &exit) {
		p.t.Fatalf("%s did not die: %v", p.name, p.err)
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
		p.t.Fatalf("%s did not die by SIGKILL: %v", p.name, p.err)
	}
}

// stop ends the process as an operator does. It must end cleanly and soon.
func (p *process) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	if code := p.exited(); code != 0 {
		p.t.Fatalf("%s did not stop cleanly: %v", p.name, p.err)
	}
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("%s to %s: %v", s, p.name, err)
	}
}

// exited waits for the end of the process, and returns its exit code.
func (p *process) exited() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatalf("%s did not end within %s", p.name, patience)
	}
	return p.cmd.ProcessState.ExitCode()
}

// journal keeps a log.
type journal struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.all.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.all.String()
}

// lines are those with a message and, in pairs, with fields.
func (j *journal) lines(message string, fields ...string) []map[string]any {
	want := map[string]string{}
	for i := 0; i+1 < len(fields); i += 2 {
		want[fields[i]] = fields[i+1]
	}
	var found []map[string]any
	for text := range strings.Lines(j.String()) {
		if !strings.Contains(text, message) {
			continue // a log may be long
		}
		if line := parseLine([]byte(text)); line != nil && fits(line, message, want) {
			found = append(found, line)
		}
	}
	return found
}
