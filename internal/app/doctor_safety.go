package app

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/internal/stream"
)

// safeServers is how many servers a cluster needs to lose one of them and nothing else.
const safeServers = 3

// servers tells which servers there are, and returns their number as far as it can be seen.
func (d *Diagnosis) servers(seen *stream.Inspection, asked monitoring) int {
	text := fmt.Sprintf("nats-server %s at %s, with JetStream", seen.Version, seen.Server)
	if seen.Cluster == "" {
		d.ok(codeBroker, "%s", text)
		return 1
	}
	var names []string
	for _, s := range seen.Servers {
		names = append(names, s.Name)
	}
	text = fmt.Sprintf("%s; of the cluster %s %s answered from here (%s)", text, seen.Cluster, counted(len(names), "server"), strings.Join(names, ", "))
	d.ok(codeBroker, "%s", text)
	if seen.Silent > 0 {
		d.add(VerdictWarn, codeBroker, "start it, or correct nats.url; where servers name addresses that cannot be reached from here, set client_advertise in their configuration",
			"%s of the cluster did not answer from here: who loses its server cannot go there", counted(seen.Silent, "address"))
	}
	if n := asked.size(); n > 0 {
		return n // of those with JetStream, where others may be without
	}
	return len(seen.Servers)
}

// replicas tells how much is left when a server is lost.
func (d *Diagnosis) replicas(seen *stream.Inspection, servers int) {
	if len(seen.Replicas) == 0 {
		if seen.Wanted > 1 && seen.Cluster == "" {
			d.add(VerdictFail, codeReplicas, "leave nats.replicas at auto, or let the server belong to a cluster of three",
				"nats.replicas is %d, and the server belongs to no cluster: no store can be made", seen.Wanted)
		}
		return // what is made will have as many copies as it can
	}
	few, single, least := []string{}, []string{}, safeServers
	for _, s := range slices.Sorted(maps.Keys(seen.Replicas)) {
		n := seen.Replicas[s]
		least = min(least, n)
		if n < safeServers {
			few = append(few, string(s))
		}
		if n == 1 {
			single = append(single, string(s))
		}
	}
	switch {
	case len(few) > 0 && servers >= safeServers:
		d.add(VerdictFail, codeReplicas,
			"leave nats.replicas at auto and start a receiver or a worker, which gives them three while they are used; or by hand: nats stream edit NAME --replicas 3, for OBJ_rulesets too",
			"%s: %s, though the cluster has %d servers: with the disk of one, what was accepted is lost, and while it is away nothing is stored",
			strings.Join(few, ", "), copies(least), servers)
	case len(single) > 0:
		d.add(VerdictWarn, codeReplicas,
			"run a cluster of three servers, in which every store gets three copies; with one, back up its store directory",
			"%s: there is one copy, on one server: if its disk is lost, so is what was accepted", strings.Join(single, ", "))
	case len(few) > 0:
		d.add(VerdictWarn, codeReplicas, "run a cluster of three servers, in which every store gets three copies",
			"%s: %s: while one of their servers is away nothing is stored", strings.Join(few, ", "), copies(least))
	default:
		d.ok(codeReplicas, "every store has three copies or more")
	}
}

func copies(n int) string {
	if n == 1 {
		return "there is one copy"
	}
	return fmt.Sprintf("there are %d copies", n)
}

// sync tells what a loss of power takes of what was answered 2xx, where no journal has it. With one, see journal.
func (d *Diagnosis) sync(cfg *config.Config, seen *stream.Inspection, servers int, asked monitoring) {
	if len(posting(cfg)) == 0 {
		return
	}
	lazy, how := asked.lazy(servers)
	if journaled(cfg) {
		text := fmt.Sprintf("a nats-server may take %s to write what it has acknowledged (%s)", lazy, how)
		if hold := cfg.Receiver.Journal.Hold; hold < 2*lazy {
			d.ok(codeSync, "%s; whether the journal has it that long, receiver.journal says", text)
		} else {
			d.ok(codeSync, "%s; the journal has it for %s", text, hold)
		}
		return
	}
	if lazy == 0 {
		d.ok(codeSync, "the nats-server writes to its disk before it acknowledges (%s)", how)
		return
	}
	n, there := seen.Replicas[stream.Events]
	if !there {
		n = min(seen.Wanted, max(servers, 1))
	}
	d.lazySync(lazy, how, n)
}

func (d *Diagnosis) lazySync(lazy time.Duration, how string, replicas int) {
	const remedy = "set receiver.durability to journal, which costs little; or sync_interval: always in the jetstream section of every nats-server, which costs most of its speed"
	if replicas < safeServers {
		d.add(VerdictFail, codeSync, remedy,
			"receiver.durability is broker, and a nats-server may take %s to write what it has acknowledged (%s): a loss of power takes what was answered 2xx in that time", lazy, how)
		return
	}
	d.add(VerdictWarn, codeSync, remedy,
		"receiver.durability is broker, and a nats-server may take %s to write what it has acknowledged (%s): if all %d lose power at once, what was answered 2xx in that time is lost", lazy, how, replicas)
}
