package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Inspection is what a look at the broker shows.
type Inspection struct {
	Server  string // its address, without user and password
	Version string
	// Missing are the stores that the first receiver or worker will make.
	Missing []Store
	// Wrong is what receivers and workers refuse to start with, as [Conn.Ensure] does.
	Wrong Complaints
	// Risks is what they accept, and what keeps less than it could.
	Risks Complaints
	// Skew is how far the server's clock is ahead of ours; known only when a store exists.
	Skew      time.Duration
	SkewKnown bool
}

// fullPercent is the part of a store's cap above which an inspection says so.
const fullPercent = 80

// Inspect looks at the broker and its stores as [Conn.Ensure] does, and makes and changes nothing.
func (c *Conn) Inspect(ctx context.Context) (*Inspection, error) {
	missing, wrong, err := c.auditAll(ctx)
	if err != nil {
		return nil, err
	}
	i := &Inspection{Server: withoutCredentials(c.nc.ConnectedUrl()), Version: c.nc.ConnectedServerVersion(), Wrong: wrong}
	for _, m := range missing {
		i.Missing = append(i.Missing, Store(m.Name))
	}
	var single []string
	for _, want := range c.blueprint() {
		s, err := c.js.Stream(ctx, want.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return nil, refuse("look up stream "+want.Name, err)
		}
		asked := time.Now()
		info, err := s.Info(ctx)
		if err != nil {
			return nil, refuse("look at stream "+want.Name, err)
		}
		if took := time.Since(asked); !info.TimeStamp.IsZero() {
			i.Skew, i.SkewKnown = info.TimeStamp.Sub(asked.Add(took/2)), true
		}
		if info.Config.Replicas <= 1 {
			single = append(single, want.Name)
		}
		i.Risks = append(i.Risks, risks(want, info)...)
	}
	if len(single) > 0 {
		i.Risks = append(Complaints{oneCopy(single)}, i.Risks...)
	}
	return i, nil
}

func oneCopy(stores []string) Complaint {
	return Complaint{
		Where: strings.Join(stores, ", "),
		Found: "there is one copy, on one server: if its disk is lost, so is what was accepted, and after a power failure the last " +
			"seconds may be missing, for a server writes to disk every sync_interval, 2 minutes by default",
		Remedy: "run three servers and set the replicas of the streams to 3 (nats stream edit NAME --replicas 3); with one server, set " +
			"sync_interval: always in its jetstream section, which costs speed, and back up its store directory",
	}
}

func whenFull(s Store) string {
	switch s {
	case Events:
		return "the receiver answers 503, and who does not send again has lost the event; workers that run free what they have matched"
	case Records:
		return "no new run or action is begun"
	default:
		return "what is given up is tried again and again instead"
	}
}

// risks tells what about a stream is allowed and not as good as it could be.
func risks(want jetstream.StreamConfig, info *jetstream.StreamInfo) Complaints {
	a, have := auditor{where: "stream " + want.Name}, info.Config
	if Store(want.Name) == Events {
		a.refuseIf(have.Duplicates < want.Duplicates,
			fmt.Sprintf("duplicate_window is %s, and the configuration asks for %s: a delivery sent again later than that is matched again, which does no harm and costs work", have.Duplicates, want.Duplicates),
			fmt.Sprintf("nats stream edit %s --dupe-window %s, or set nats.duplicate_window to %s", want.Name, want.Duplicates, have.Duplicates))
	}
	if want.MaxBytes > 0 {
		a.refuseIf(have.MaxBytes <= 0,
			"max_bytes is not set, so it may grow until the disk is full and every store refuses", fmt.Sprintf("set max_bytes, for example to %d", want.MaxBytes))
		a.refuseIf(have.MaxBytes > 0 && info.State.Bytes >= uint64(have.MaxBytes)/100*fullPercent,
			fmt.Sprintf("it holds %d of %d bytes; when it is full %s", info.State.Bytes, have.MaxBytes, whenFull(Store(want.Name))),
			"raise its max_bytes: nats stream edit "+want.Name+" --max-bytes SIZE")
	}
	if have.Replicas > 1 && info.Cluster != nil {
		behind := 0
		for _, r := range info.Cluster.Replicas {
			if !r.Current || r.Offline {
				behind++
			}
		}
		a.refuseIf(behind > 0, fmt.Sprintf("%d of its %d copies are offline or behind", behind, have.Replicas), "look at the servers of the cluster: nats stream info "+want.Name)
	}
	return a.found
}
