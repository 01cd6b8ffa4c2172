package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/internal/stream"
)

const (
	// lazySync is how long a nats-server may take to write to its disk, unless its sync_interval is set.
	lazySync = 2 * time.Minute
	// monitorLimit is how much of a monitoring page is read, in bytes.
	monitorLimit   = 1 << 20
	monitorTimeout = 5 * time.Second
	// mostMonitors is how many addresses of monitoring are asked.
	mostMonitors = 16
)

// varz is what the doctor reads of a nats-server's monitoring page /varz. Those of nats-server 2.14 and 2.15 have it all; in older ones
// the settings about writing are missing.
type varz struct {
	ID        string    `json:"server_id"`
	Name      string    `json:"server_name"`
	Version   string    `json:"version"`
	Now       time.Time `json:"now"`
	JetStream struct {
		Config *struct {
			MaxStorage   int64         `json:"max_storage"`
			StoreDir     string        `json:"store_dir"`
			SyncInterval time.Duration `json:"sync_interval"`
			SyncAlways   bool          `json:"sync_always"`
		} `json:"config"`
		Meta *struct {
			Size int `json:"cluster_size"`
		} `json:"meta"`
	} `json:"jetstream"`

	skew time.Duration // how far its clock is ahead of ours
}

// monitors asks the monitoring of nats-servers, and tells what is wrong with each.
func (d *Diagnosis) monitors(ctx context.Context, cfg *config.Config, addresses []string) (all monitoring) {
	client := &http.Client{
		Timeout: monitorTimeout, Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for i, address := range addresses {
		if i == mostMonitors {
			d.add(VerdictWarn, codeMonitor, "", "%d addresses of monitoring are given, and %d are asked", len(addresses), mostMonitors)
			break
		}
		where, v, err := askMonitor(ctx, client, address)
		if err != nil {
			d.add(VerdictFail, codeMonitor, "give the address of http_port or https_port of the nats-server (http: 8222 in its configuration), reachable from here",
				"the monitoring at %s cannot be read: %v", where, err)
			continue
		}
		d.monitored(cfg, where, v)
		all = append(all, v)
	}
	return all
}

// askMonitor reads one page. where is the address as it may be shown.
func askMonitor(ctx context.Context, client *http.Client, address string) (where string, v *varz, err error) {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "(unreadable address)", nil, errors.New("an address looks like http://nats.example.com:8222")
	}
	where = u.Scheme + "://" + u.Host
	if u.User != nil {
		return where, nil, errors.New("a user and a password do not belong into the address")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where+strings.TrimSuffix(u.EscapedPath(), "/")+"/varz", http.NoBody)
	if err != nil {
		return where, nil, err
	}
	asked := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		if text := err.Error(); strings.Contains(text, "malformed HTTP") || strings.HasPrefix(text, "readLoop") { // what the server said, before or after it was asked
			err = errors.New("something is there that does not speak HTTP, as the port for clients does")
		}
		return where, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	took := time.Since(asked)
	data, err := io.ReadAll(io.LimitReader(resp.Body, monitorLimit))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("it is answered %d", resp.StatusCode)
	}
	if err != nil {
		return where, nil, err
	}
	if v, err = readVarz(data); err != nil {
		return where, nil, err
	}
	v.skew = v.Now.Sub(asked.Add(took / 2))
	return where, v, nil
}

// readVarz reads a page.
func readVarz(data []byte) (*varz, error) {
	v := new(varz)
	if err := json.Unmarshal(data, v); err != nil || v.ID == "" || v.Version == "" {
		return nil, errors.New("it is not the page /varz of a nats-server")
	}
	v.Name, v.Version = clean(v.Name), clean(v.Version)
	if c := v.JetStream.Config; c != nil {
		c.StoreDir = clean(c.StoreDir)
	}
	return v, nil
}

// clean is a text of another machine as it may be shown: in one line, and not too long.
func clean(s string) string {
	const most = 200
	s = strings.ToValidUTF8(s, "?")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// monitored judges one server by what its monitoring says.
func (d *Diagnosis) monitored(cfg *config.Config, where string, v *varz) {
	who := "nats-server at " + where
	if v.Name != "" && v.Name != v.ID { // who gave it none
		who = fmt.Sprintf("nats-server %s at %s", v.Name, where)
	}
	if !stream.FitServer(v.Version) {
		d.add(VerdictFail, codeMonitor, "upgrade the server", "%s is %s, and Millrace needs 2.14 or newer", who, v.Version)
	}
	if d.skewed(v.skew) {
		d.add(VerdictWarn, codeClock, clockRemedy, "the clock of %s is %s ours by %s: what is parked wakes at the wrong time", who, aheadOf(v.skew), v.skew.Abs().Round(time.Second))
	}
	c := v.JetStream.Config
	if c == nil {
		d.add(VerdictFail, codeMonitor, "start it with --jetstream and a store directory", "%s does not run JetStream, so it stores nothing", who)
		return
	}
	text := fmt.Sprintf("%s is %s and writes to its disk %s", who, v.Version, v.every())
	verdict, remedy := VerdictOK, ""
	if inTemp(c.StoreDir) {
		verdict, remedy = VerdictFail, "set store_dir in its jetstream section to a folder that lasts, on a disk or a volume of its own"
		text = fmt.Sprintf("%s keeps its store in %s, a folder for temporary files: it may be emptied when the machine or the container starts again", who, c.StoreDir)
	}
	d.add(verdict, codeMonitor, remedy, "%s", text)
	if caps := int64(cfg.NATS.EventsMaxBytes + cfg.NATS.RecordsMaxBytes + cfg.NATS.DeadMaxBytes); c.MaxStorage > 0 && caps > c.MaxStorage {
		d.add(VerdictFail, codeMonitor, "give it more max_file_store, or lower nats.events_max_bytes, records_max_bytes and dead_max_bytes",
			"%s may store %d bytes, and the caps of EVENTS, RECORDS and DEAD are %d together", who, c.MaxStorage, caps)
	}
}

// inTemp tells whether a folder of another machine is one for temporary files: a nats-server without store_dir takes such a one.
func inTemp(folder string) bool {
	for _, temp := range []string{"/tmp", "/var/tmp", "/dev/shm", strings.TrimSuffix(os.TempDir(), "/")} {
		if folder == temp || strings.HasPrefix(folder, temp+"/") {
			return true
		}
	}
	return false
}

// every says how often the server writes to its disk.
func (v *varz) every() string {
	if v.JetStream.Config.SyncAlways {
		return "before it answers"
	}
	return "every " + v.lazy().String()
}

// lazy is how long the server may take to write what it has acknowledged; 0: it has written before it answers.
func (v *varz) lazy() time.Duration {
	c := v.JetStream.Config
	switch {
	case c == nil:
		return lazySync
	case c.SyncAlways:
		return 0
	case c.SyncInterval <= 0:
		return lazySync
	}
	return c.SyncInterval
}

// monitoring is what the servers that were asked say.
type monitoring []*varz

// size is how many servers with JetStream the cluster has; 0: nobody said.
func (m monitoring) size() int {
	most := 0
	for _, v := range m {
		if v.JetStream.Meta != nil {
			most = max(most, v.JetStream.Meta.Size)
		}
	}
	return most
}

// lazy is the longest that any server takes to write, and how that is known. servers is how many there are, as far as that can be seen;
// those that were not asked are taken to do what they do unless they are told otherwise.
func (m monitoring) lazy(servers int) (longest time.Duration, how string) {
	asked := map[string]bool{}
	for _, v := range m {
		asked[v.ID] = true
		longest = max(longest, v.lazy())
	}
	switch {
	case len(asked) == 0:
		return lazySync, "assumed, for it is the default: --nats-monitor asks"
	case len(asked) < max(servers, m.size()):
		return max(longest, lazySync), "assumed of the servers that --nats-monitor does not name, for it is the default"
	}
	return longest, "as its monitoring says"
}
