package app_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/stream"
	"github.com/millrace/millrace/internal/stream/streamtest"
)

// TestDoctorOfSync: without a journal, what a nats-server has not written yet is lost with its power, and it says so only in its monitoring.
func TestDoctorOfSync(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{Durability: "broker"})
	finds(t, w.doctor(), app.VerdictFail, "nats.sync", "2m0s", "assumed", "--nats-monitor", "durability to journal", "sync_interval: always")
	lazy := streamtest.Server(t, streamtest.Monitored())
	w.monitors = []string{lazy.Monitor()}
	d := w.doctor("MILLRACE_NATS_URL=" + lazy.URL())
	finds(t, d, app.VerdictFail, "nats.sync", "2m0s", "as its monitoring says")
	eager := streamtest.Server(t, streamtest.Monitored(), streamtest.SyncAlways())
	w.monitors = []string{eager.Monitor() + "/"}
	finds(t, w.doctor("MILLRACE_NATS_URL="+eager.URL()), app.VerdictOK, "nats.sync", "before it acknowledges")
	w.monitors = append(w.monitors, lazy.Monitor())
	finds(t, w.doctor("MILLRACE_NATS_URL="+eager.URL()), app.VerdictFail, "nats.sync", "2m0s")
	j := newWorld(t, settings{Durability: "journal", DuplicateWindow: "20m"})
	finds(t, j.doctor(), app.VerdictOK, "nats.sync", "2m0s", "assumed", "the journal has it for 10m0s")
	finds(t, j.doctor("MILLRACE_RECEIVER_JOURNAL_HOLD=1m"), app.VerdictOK, "nats.sync", "receiver.journal says")
	finds(t, j.doctor("MILLRACE_NATS_REPLICAS=3"), app.VerdictFail, "nats.replicas", "belongs to no cluster", "leave nats.replicas at auto")
}

// TestDoctorOfMonitoring: what the monitoring of a server says, and what cannot be one.
func TestDoctorOfMonitoring(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{Durability: "journal", DuplicateWindow: "20m", EventsMaxBytes: "1GiB"})
	page := map[string]any{}
	config := map[string]any{"max_storage": 1 << 40, "store_dir": "/data/jetstream", "sync_interval": 4 * time.Minute}
	server := serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/varz" {
			http.NotFound(rw, r)
			return
		}
		_ = json.NewEncoder(rw).Encode(page)
	}))
	w.monitors = []string{server}
	finds(t, w.doctor(), app.VerdictFail, "nats.monitor", "not the page /varz")
	page = map[string]any{"server_id": "A", "server_name": "n1\x1b[31m", "version": "2.15.2", "now": time.Now(), "jetstream": map[string]any{"config": config}}
	d := w.doctor()
	finds(t, d, app.VerdictOK, "nats.monitor", "nats-server n1?[31m at http://127.0.0.1", "every 4m0s")
	finds(t, d, app.VerdictOK, "receiver.journal", "the receiver makes it")
	finds(t, w.doctor("MILLRACE_RECEIVER_JOURNAL_HOLD=5m"), app.VerdictFail, "receiver.journal", "held for 5m0s", "may take 4m0s", "as its monitoring says", "hold to 8m0s")
	config["store_dir"], config["max_storage"] = "/tmp/nats/jetstream", 1<<20
	d = w.doctor()
	finds(t, d, app.VerdictFail, "nats.monitor", "keeps its store in /tmp/nats/jetstream", "store_dir")
	finds(t, d, app.VerdictFail, "nats.monitor", "may store 1048576 bytes", "max_file_store")
	page["version"], page["now"], page["jetstream"] = "2.12.0", time.Now().Add(time.Hour), map[string]any{}
	d = w.doctor()
	finds(t, d, app.VerdictFail, "nats.monitor", "is 2.12.0, and Millrace needs 2.14")
	finds(t, d, app.VerdictFail, "nats.monitor", "does not run JetStream")
	finds(t, d, app.VerdictWarn, "nats.clock", "ahead of ours by 1h0m")

	clients := serve(t, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		c, _, err := rw.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = c.Write([]byte("INFO {}\r\n"))
		_ = c.Close()
	}))
	w.monitors = []string{server + "/nowhere", "http://" + nobody, "nats://h:1", strings.TrimPrefix(clients, "http://"), "http://me:" + mark + "@127.0.0.1:1"}
	d = w.doctor()
	finds(t, d, app.VerdictFail, "nats.monitor", "it is answered 404")
	finds(t, d, app.VerdictFail, "nats.monitor", "at http://"+nobody+" cannot be read", "http: 8222")
	finds(t, d, app.VerdictFail, "nats.monitor", "(unreadable address)", "http://nats.example.com:8222")
	finds(t, d, app.VerdictFail, "nats.monitor", "something is there that does not speak HTTP")
	finds(t, d, app.VerdictFail, "nats.monitor", "do not belong into the address")
}

// FuzzMonitoring: whatever a page says, it is read or refused, and shown in one line.
func FuzzMonitoring(f *testing.F) {
	f.Add([]byte(`{"server_id":"A","server_name":"n1","version":"2.15.2","now":"2026-05-04T03:02:01Z","jetstream":{"config":{"max_storage":1,"store_dir":"/data","sync_interval":120000000000,"sync_always":true},"meta":{"cluster_size":3}}}`))
	f.Add([]byte(`{"server_id":"A","version":"v\n"}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		shown, ok := app.ReadMonitoring(data)
		if ok && strings.ContainsAny(shown, "\n\r\x1b\x00") {
			t.Errorf("%q", shown)
		}
	})
}

// TestDoctorOfDisk: where a journal's folder is, and whether it has room.
func TestDoctorOfDisk(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{Durability: "journal"})
	on := func(disk app.Disk) *app.Diagnosis {
		return app.Doctor(t.Context(), w.file, w.environ(), app.DoctorOptions{Disk: func(folder string) (app.Disk, error) {
			if _, err := os.Stat(folder); err != nil {
				t.Errorf("asked about a folder that is not there: %v", err)
			}
			return disk, nil
		}})
	}
	const code = "receiver.journal.disk"
	finds(t, on(app.Disk{Kind: "tmpfs", Free: 1 << 40}), app.VerdictFail, code, "is in memory (tmpfs)")
	finds(t, on(app.Disk{Kind: "overlay", Free: 1 << 40}), app.VerdictFail, code, "container", "mount a volume")
	finds(t, on(app.Disk{Kind: "nfs", Free: 1 << 40}), app.VerdictWarn, code, "elsewhere (nfs)", "this machine")
	finds(t, on(app.Disk{Free: 1000}), app.VerdictWarn, code, "room for 1000 bytes of the journal's 64MiB", "answered 503")
	for _, p := range on(app.Disk{Free: -1}).Points {
		if p.Code == code {
			t.Errorf("of a disk that nobody knows: %s", p.Text)
		}
	}
}

// TestDiskOf asks the system itself.
func TestDiskOf(t *testing.T) {
	t.Parallel()
	d, err := app.DiskOf(t.TempDir())
	if err != nil || runtime.GOOS == "linux" && d.Free <= 0 {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := os.Stat("/dev/shm"); err == nil && runtime.GOOS == "linux" {
		if d, err := app.DiskOf("/dev/shm"); err != nil || d.Kind != "tmpfs" {
			t.Errorf("/dev/shm: %+v, %v", d, err)
		}
	}
	if _, err := app.DiskOf(filepath.Join(t.TempDir(), "nowhere")); runtime.GOOS == "linux" && err == nil {
		t.Error("a folder that is not there is on a disk")
	}
}

// TestDoctorOfCluster: one copy where there could be three is a failure, which the next start mends.
func TestDoctorOfCluster(t *testing.T) {
	t.Parallel()
	servers := streamtest.StartCluster(t, 3)
	w := newWorldAround(t, settings{Durability: "journal", DuplicateWindow: "20m"}, strings.Join(servers.URLs(), ","))
	ensure := func(replicas int) {
		conn, err := stream.Connect(t.Context(), stream.Config{
			URLs: servers.URLs(), Replicas: replicas, Log: zerolog.Nop(), EventsMaxBytes: 64 << 20, RecordsMaxBytes: 64 << 20, DeadMaxBytes: 64 << 20, DuplicateWindow: 20 * time.Minute,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ensure(1)
	d := w.doctor()
	finds(t, d, app.VerdictOK, "nats", "of the cluster streamtest 3 servers answered", "server-0, server-1, server-2")
	finds(t, d, app.VerdictFail, "nats.replicas", "DEAD, EVENTS, RECORDS, WORK: there is one copy", "the cluster has 3 servers", "nats.replicas at auto")
	ensure(0)
	for _, name := range []string{"EVENTS", "WORK", "RECORDS", "DEAD", "OBJ_rulesets"} {
		servers.Copied(name)
	}
	d = w.doctor()
	finds(t, d, app.VerdictOK, "nats.replicas", "three copies")
	finds(t, d, app.VerdictOK, "nats.stores")
	finds(t, w.doctor("MILLRACE_RECEIVER_DURABILITY=broker"), app.VerdictWarn, "nats.sync", "if all 3 lose power at once")
}
