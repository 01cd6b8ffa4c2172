package app_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/modules/nats"
	"github.com/testcontainers/testcontainers-go/wait"
)

// Images of nats-server; deploy/offline-images.sh makes both where no registry can be reached.
const (
	natsImage    = "nats:2.15.2"
	natsImageOld = "nats:2.12.0" // has no cron schedules
)

// notTested skips the test aloud. Where CI is set it fails instead.
func notTested(t *testing.T, format string, args ...any) {
	t.Helper()
	text := fmt.Sprintf(format, args...)
	if os.Getenv("CI") != "" {
		t.Fatalf("CI never skips: %s", text)
	}
	t.Skipf("NOT TESTED: %s", text)
}

// needDocker ends the test where there is no Docker or an image is missing.
func needDocker(t *testing.T, images ...string) {
	t.Helper()
	docker, err := dockerProvider()
	if err != nil {
		notTested(t, "there is no Docker: %v", err)
	}
	defer docker.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := docker.Health(ctx); err != nil {
		notTested(t, "Docker does not answer: %v", err)
	}
	for _, image := range images {
		if _, err := docker.Client().ImageInspect(ctx, image); err != nil {
			notTested(t, "the image %s is not there; docker pull or deploy/offline-images.sh fetches it: %v", image, err)
		}
	}
}

// dockerProvider finds Docker. The library panics where there is none.
func dockerProvider() (p *testcontainers.DockerProvider, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%v", v)
		}
	}()
	return testcontainers.NewDockerProvider()
}

// gate is the address of a broker whose containers come and go: it passes connections on to the one that is there.
type gate struct {
	listener net.Listener
	all      sync.WaitGroup

	mu    sync.Mutex
	to    string // "" is nobody
	conns map[net.Conn]bool
}

func newGate(t testing.TB) *gate {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{listener: l, conns: map[net.Conn]bool{}}
	g.all.Go(g.accept)
	t.Cleanup(func() {
		_ = l.Close()
		g.lead("")
		g.all.Wait()
	})
	return g
}

func (g *gate) url() string { return "nats://" + g.listener.Addr().String() }

// lead passes new connections on to an address, and ends the old ones.
func (g *gate) lead(to string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.to = to
	for c := range g.conns {
		_ = c.Close()
	}
	clear(g.conns)
}

func (g *gate) accept() {
	for {
		in, err := g.listener.Accept()
		if err != nil {
			return
		}
		g.all.Go(func() { g.pass(in) })
	}
}

func (g *gate) pass(in net.Conn) {
	defer in.Close()
	g.mu.Lock()
	to := g.to
	g.mu.Unlock()
	if to == "" {
		return
	}
	out, err := net.DialTimeout("tcp", to, time.Second)
	if err != nil {
		return
	}
	defer out.Close()
	g.mu.Lock()
	stale := g.to != to
	if !stale {
		g.conns[in], g.conns[out] = true, true
	}
	g.mu.Unlock()
	if stale {
		return
	}
	g.all.Go(func() {
		_, _ = io.Copy(out, in)
		_ = out.Close()
	})
	_, _ = io.Copy(in, out)
}

// container is a broker in a container, behind a gate, with a volume that outlives it.
type container struct {
	t      testing.TB
	gate   *gate
	volume string
	now    *nats.NATSContainer
}

// run starts a broker of an image with the data of the one before.
func (c *container) run(image string) error {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	var err error
	c.now, err = nats.Run(ctx, image,
		testcontainers.WithMounts(testcontainers.VolumeMount(c.volume, "/data")),
		testcontainers.WithCmd("--jetstream", "--store_dir=/data"),
		testcontainers.WithWaitStrategy(wait.ForLog("Server is ready").WithStartupTimeout(patience)))
	if err == nil {
		c.lead()
	}
	return err
}

// lead opens the gate to the container as it is now.
func (c *container) lead() {
	c.t.Helper()
	to, err := c.now.PortEndpoint(c.t.Context(), "4222/tcp", "")
	if err != nil {
		c.t.Fatal(err)
	}
	c.gate.lead(to)
}

// kill ends the broker as a power cut of its host would, as far as the process can tell.
func (c *container) kill() {
	c.t.Helper()
	at := time.Duration(0)
	if err := c.now.Stop(c.t.Context(), &at); err != nil {
		c.t.Fatalf("kill the broker: %v", err)
	}
}

// start starts a killed broker again.
func (c *container) start() {
	c.t.Helper()
	if err := c.now.Start(c.t.Context()); err != nil {
		c.t.Fatalf("start the broker again: %v", err)
	}
	c.lead()
}

// replace removes the broker and runs another with its data.
func (c *container) replace(image string) {
	c.t.Helper()
	if err := c.now.Terminate(c.t.Context()); err != nil {
		c.t.Fatalf("remove the broker: %v", err)
	}
	if err := c.run(image); err != nil {
		c.t.Fatalf("run %s: %v", image, err)
	}
}

func startContainer(t *testing.T, image string) *container {
	t.Helper()
	c := &container{t: t, gate: newGate(t), volume: fmt.Sprintf("millrace-test-%d-%d", os.Getpid(), time.Now().UnixNano())}
	t.Cleanup(func() {
		if c.now != nil {
			if err := c.now.Terminate(context.Background(), testcontainers.RemoveVolumes(c.volume)); err != nil {
				t.Errorf("remove the broker and its volume: %v", err)
			}
		}
	})
	err := c.run(image)
	if err != nil && strings.Contains(err.Error(), "reaper") {
		notTested(t, "the image of testcontainers' reaper cannot be fetched; TESTCONTAINERS_RYUK_DISABLED=true goes without: %v", err)
	}
	if err != nil {
		t.Fatalf("run %s: %v", image, err)
	}
	return c
}

// done tells whether nothing is left to be done, as far as the stores say.
func (w *world) done() error {
	stats, err := w.look().Stats(w.t.Context())
	if err != nil {
		return err
	}
	n, err := w.look().Counts(w.t.Context())
	if err != nil {
		return err
	}
	if stats.Unmatched != 0 || n.Work != 0 || n.Parked != 0 {
		return fmt.Errorf("%d events and %d messages of work are left, %d are parked", stats.Unmatched, n.Work, n.Parked)
	}
	return nil
}

// burst is how many merge requests are delivered at once; with the rest that is less than DingTalk takes in a minute.
const burst = 12

// TestBrokerInContainers: the broker is killed and started again, then its container is replaced by one of an older server, which is
// refused with a reason, then by the right one again. Work is under way all the time; nothing is lost, and no commit is made twice.
func TestBrokerInContainers(t *testing.T) {
	needDocker(t, natsImage, natsImageOld)
	t.Parallel()
	broker := startContainer(t, natsImage)
	w := newWorldAround(t, settings{Rules: "shop", DuplicateWindow: "10m", AckWait: soon}, broker.gate.url())
	w.writeRule("ticks.yaml", `rules: [{ name: tick, on: { schedule: { every: 3s } }, do: [{ notify: { to: [hook], title: "Tick", text: "tick" } }] }]`)
	receiver, _ := w.startReceiver()
	worker, _ := w.startWorkerHere()

	first := w.throughAKill(broker)
	second := w.throughAnOldBroker(broker, receiver, worker)
	for _, body := range [][]byte{first, second, mergeRequest(t, 7)} {
		w.deliver(body)
	}
	eventually(t, "the second commit", func() error { return w.madeExactly(2) })
	eventually(t, "all messages", func() error {
		want := announced(7)
		for n := range burst {
			want = append(want, announced(100+n)...)
		}
		return w.atLeast(want...)
	})
	eventually(t, "the end of all work", w.done)
	if err := w.madeExactly(2); err != nil {
		t.Error(err)
	}
	ticks := w.told()["webhook: Tick"]
	eventually(t, "the schedule to go on", func() error {
		if now := w.told()["webhook: Tick"]; now < ticks+2 {
			return fmt.Errorf("%d ticks, %d before", now, ticks)
		}
		return nil
	})
	eventually(t, "every delivery to be stored once", func() error { return w.storedExactly(burst+3, worker) })
}

// throughAKill has deliveries come in while the broker is killed and started again and a run is parked. It returns the delivery of
// that run, which has led to a commit.
func (w *world) throughAKill(broker *container) (body []byte) {
	w.t.Helper()
	_, body = w.push("count totals in cents", 3*time.Second, "FAILED")
	w.deliver(body)
	delivered := make(chan error)
	go func() {
		for n := range burst {
			if _, err := w.post(mergeRequest(w.t, 100+n), webhookToken); err != nil {
				delivered <- err
				return
			}
		}
		delivered <- nil
	}()
	broker.kill()
	if err := <-delivered; err != nil {
		w.t.Errorf("a delivery got no answer: %v", err)
	}
	broker.start()
	for n := range burst { // who got no 202 delivers again, and who got one may
		w.deliver(mergeRequest(w.t, 100+n))
	}
	eventually(w.t, "the first commit", func() error { return w.madeExactly(1) })
	eventually(w.t, "the end of all work", w.done)
	return body
}

// throughAnOldBroker has an older server take over the data, with a run parked in it, and then the right one again. It returns the
// delivery of that run.
func (w *world) throughAnOldBroker(broker *container, receiver, worker *journal) (body []byte) {
	w.t.Helper()
	_, body = w.push("count totals in euros", time.Hour, "FAILED")
	w.deliver(body)
	eventually(w.t, "the run to be parked", func() error {
		if n := w.counts(); n.Parked != 1 {
			return fmt.Errorf("%d are parked", n.Parked)
		}
		return nil
	})
	broker.replace(natsImageOld)
	w.refusesOldBroker(receiver, worker)
	broker.replace(natsImage)
	w.fake.Advance(time.Hour) // now the build is over
	return body
}

// storedExactly is an error unless every delivery is stored once, and nothing else but ticks.
func (w *world) storedExactly(deliveries int, worker *journal) error {
	ticks := map[string]bool{}
	for _, line := range worker.lines("matched") {
		if id := fmt.Sprint(line["event_id"]); strings.HasPrefix(id, "schedule/") {
			ticks[id] = true
		}
	}
	if n := w.counts(); int(n.Events) != deliveries+len(ticks) || n.Dead != 0 {
		return fmt.Errorf("%d events of %d deliveries and %d ticks are stored; %d dead letters", n.Events, deliveries, len(ticks), n.Dead)
	}
	return nil
}

// madeExactly is an error unless so many commits were made.
func (w *world) madeExactly(n int) error {
	made := w.made()
	if len(made) != n {
		return fmt.Errorf("%d commits, wanted %d", len(made), n)
	}
	return nil
}

// refusesOldBroker: servers that run store nothing in it and say why, and servers that are started end and say why.
func (w *world) refusesOldBroker(receiver, worker *journal) {
	w.t.Helper()
	const reason = "it is nats-server 2.12.0, and Millrace needs 2.14 or newer"
	for name, log := range map[string]*journal{"receiver": receiver, "worker": worker} {
		eventually(w.t, "the "+name+" to refuse the older server", func() error {
			for _, line := range log.lines("broker refused") {
				if strings.Contains(fmt.Sprint(line["error"]), reason) && line["level"] == "error" {
					return nil
				}
			}
			return fmt.Errorf("no line says so")
		})
	}
	if a, err := w.post(mergeRequest(w.t, 9), webhookToken); err != nil || a.code != http.StatusServiceUnavailable {
		w.t.Errorf("a delivery is answered %d, %v", a.code, err)
	}
	for name, serve := range servers() {
		if err := serve(w.t.Context(), w.config()); err == nil || !strings.Contains(err.Error(), reason) || !strings.Contains(err.Error(), "upgrade the server") {
			w.t.Errorf("%s: %v", name, err)
		}
	}
}
