package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Inspection is what a look at the broker shows.
type Inspection struct {
	Server  string // its address, without user and password
	Version string
	// Cluster is the name of the cluster that the server belongs to, "" for none. Servers are those of it that answered from here, at
	// least the one that was asked; Silent is how many addresses more did not.
	Cluster string
	Servers []Server
	Silent  int
	// Missing are the stores that the first receiver or worker will make.
	Missing []Store
	// Wrong is what receivers and workers refuse to start with, as [Conn.Ensure] does.
	Wrong Complaints
	// Unsafe is what they accept, and what loses events.
	Unsafe Complaints
	// Risks is what they accept, and what keeps less than it could.
	Risks Complaints
	// Replicas are the copies of each store that is there.
	Replicas map[Store]int
	// Wanted is how many copies each would have that is made now.
	Wanted int
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
	i := &Inspection{
		Server: withoutCredentials(c.nc.ConnectedUrl()), Version: c.nc.ConnectedServerVersion(), Cluster: c.nc.ConnectedClusterName(),
		Wrong: wrong, Replicas: map[Store]int{}, Wanted: c.wantedReplicas(),
	}
	i.Servers, i.Silent = c.servers(ctx)
	for _, s := range i.Servers {
		if !newEnough(s.Version) {
			i.Wrong = append(i.Wrong, tooOld("server "+s.Name+" of the cluster", s.Version))
		}
	}
	for _, m := range missing {
		i.Missing = append(i.Missing, Store(m.Name))
	}
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
		i.Replicas[Store(want.Name)] = max(info.Config.Replicas, 1)
		i.Risks = append(i.Risks, risks(want, info)...)
		i.Unsafe = append(i.Unsafe, unsafe(want, info)...)
	}
	room, err := c.room(ctx)
	if err != nil {
		return nil, err
	}
	i.Risks = append(i.Risks, room...)
	return i, nil
}

// narrow is the part of the account's storage, in percent, below which what is left for WORK is told.
const narrow = 10

// room looks at what the account has left: WORK has no cap of its own and gets what is there.
func (c *Conn) room(ctx context.Context) (Complaints, error) {
	account, err := c.js.AccountInfo(ctx)
	if err != nil {
		return nil, refuse("read the limits of the account", err)
	}
	tier := account.Tier
	if t, ok := account.Tiers[fmt.Sprintf("R%d", c.wantedReplicas())]; ok {
		tier = t
	}
	limit := tier.Limits.MaxStore
	free := limit - int64(max(tier.Store, tier.ReservedStore))
	if limit <= 0 || free >= limit/100*narrow {
		return nil, nil
	}
	return Complaints{{
		Where:  "broker",
		Found:  fmt.Sprintf("the account may store %d bytes and has %d left for WORK, which has no cap: when that is used up, what is decided and parked waits in EVENTS", limit, max(free, 0)),
		Remedy: moreStorage,
	}}, nil
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

// brimPercent is the part of the cap of EVENTS at which it is as good as full, though workers free what they have matched above 90 %.
const brimPercent = 95

// unsafe tells what about a stream is allowed and loses events.
func unsafe(want jetstream.StreamConfig, info *jetstream.StreamInfo) Complaints {
	a, most := auditor{where: "stream " + want.Name}, info.Config.MaxBytes
	a.refuseIf(Store(want.Name) == Events && most > 0 && info.State.Bytes >= uint64(most)/100*brimPercent,
		fmt.Sprintf("it holds %d of %d bytes, and what is in it has not been matched yet: %s", info.State.Bytes, most, whenFull(Events)),
		"start workers, and see in their log why they do not match; or raise its max_bytes: nats stream edit EVENTS --max-bytes SIZE")
	return a.found
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
		a.refuseIf(have.MaxBytes > 0 && info.State.Bytes >= uint64(have.MaxBytes)/100*fullPercent && len(unsafe(want, info)) == 0,
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
