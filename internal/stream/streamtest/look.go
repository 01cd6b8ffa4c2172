package streamtest

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Unsettled is how many messages of a stream its consumers have still to finish with, unacknowledged ones included: what was
// delivered to a worker that died counts, and so does what no consumer takes. A stream without consumers, or without a place to ask, is an error.
func (b *Broker) Unsettled(stream string) (int, error) {
	info, err := b.now.Jsz(&server.JSzOptions{Accounts: true, Streams: true, Consumer: true, Config: true})
	if err != nil {
		return 0, err
	}
	for _, account := range info.AccountDetails {
		for _, s := range account.Streams {
			if s.Name != stream {
				continue
			}
			if len(s.Consumer) == 0 {
				return 0, errors.New("stream " + stream + " has no consumer")
			}
			n := 0
			for _, c := range s.Consumer {
				n += int(c.NumPending) + c.NumAckPending
			}
			if n > 0 {
				return n, nil
			}
			return b.undelivered(stream, s.Consumer)
		}
	}
	return 0, errors.New("there is no stream " + stream)
}

// undelivered counts the subjects of a stream whose last message no consumer has delivered. A consumer that is just being made, or found
// again after a restart, says that nothing is pending.
func (b *Broker) undelivered(stream string, consumers []*server.ConsumerInfo) (int, error) {
	nc, err := nats.Connect(b.now.ClientURL(), nats.InProcessServer(b.now), nats.Token(b.opts.Authorization))
	if err != nil {
		return 0, err
	}
	defer nc.Close()
	js, err := nc.JetStream()
	if err != nil {
		return 0, err
	}
	all, err := js.StreamInfo(stream, &nats.StreamInfoRequest{SubjectsFilter: ">"})
	if err != nil {
		return 0, err
	}
	n := 0
	for subject := range all.State.Subjects {
		last, err := js.GetLastMsg(stream, subject)
		if err != nil {
			return 0, err
		}
		if !slices.ContainsFunc(consumers, func(c *server.ConsumerInfo) bool {
			return c.Delivered.Stream >= last.Sequence && (c.Config.FilterSubject == "" || server.SubjectsCollide(subject, c.Config.FilterSubject))
		}) {
			n++
		}
	}
	return n, nil
}

// AddStream makes a stream by the configuration given as the server's JSON, as an operator might have made it before.
func (b *Broker) AddStream(name, config string) {
	b.t.Helper()
	nc, err := nats.Connect(b.URL())
	if err != nil {
		b.t.Fatalf("connect to the nats-server: %v", err)
	}
	defer nc.Close()
	answer, err := nc.Request("$JS.API.STREAM.CREATE."+name, []byte(config), nats.DefaultTimeout)
	if err != nil {
		b.t.Fatalf("make stream %s: %v", name, err)
	}
	if text := string(answer.Data); !created(text) {
		b.t.Fatalf("make stream %s: %s", name, text)
	}
}

// Publish puts a message into a stream as anybody could who may.
func (b *Broker) Publish(subject string, header map[string]string, data []byte) {
	b.t.Helper()
	nc, err := nats.Connect(b.URL())
	if err != nil {
		b.t.Fatalf("connect to the nats-server: %v", err)
	}
	defer nc.Close()
	msg := nats.NewMsg(subject)
	msg.Data = data
	for name, value := range header {
		msg.Header.Set(name, value)
	}
	answer, err := nc.RequestMsg(msg, nats.DefaultTimeout)
	if err != nil {
		b.t.Fatalf("publish to %s: %v", subject, err)
	}
	if text := string(answer.Data); !created(text) {
		b.t.Fatalf("publish to %s: %s", subject, text)
	}
}

// Purge removes the messages of a stream under a subject, wildcards allowed, as time or an operator might have.
func (b *Broker) Purge(stream, subject string) {
	b.t.Helper()
	nc, err := nats.Connect(b.URL())
	if err != nil {
		b.t.Fatalf("connect to the nats-server: %v", err)
	}
	defer nc.Close()
	answer, err := nc.Request("$JS.API.STREAM.PURGE."+stream, []byte(`{"filter":"`+subject+`"}`), nats.DefaultTimeout)
	if err != nil {
		b.t.Fatalf("purge %s of %s: %v", subject, stream, err)
	}
	if text := string(answer.Data); !created(text) {
		b.t.Fatalf("purge %s of %s: %s", subject, stream, text)
	}
}

// created tells whether the server did it.
func created(answer string) bool { return !strings.Contains(answer, `"error"`) }

// Holds counts the files of the server's store that contain text, as it is.
func (b *Broker) Holds(text []byte) (files int, err error) {
	err = filepath.WalkDir(b.opts.StoreDir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the server has just removed it
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the server has just replaced it
		}
		if bytes.Contains(data, text) {
			files++
		}
		return err
	})
	return files, err
}

// Limit lets the account store so many bytes and no more, from now on.
func (b *Broker) Limit(bytes int64) {
	b.t.Helper()
	account, err := b.now.LookupAccount(server.DEFAULT_GLOBAL_ACCOUNT)
	if err == nil {
		err = account.UpdateJetStreamLimits(map[string]server.JetStreamAccountLimits{
			"": {MaxMemory: -1, MaxStore: bytes, MaxStreams: -1, MaxConsumers: -1, MaxAckPending: -1, MemoryMaxStreamBytes: -1, StoreMaxStreamBytes: -1},
		})
	}
	if err != nil {
		b.t.Fatalf("limit the account: %v", err)
	}
}
