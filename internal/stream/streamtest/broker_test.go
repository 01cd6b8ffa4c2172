package streamtest_test

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/millrace/millrace/internal/stream/streamtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRestartKeepsAddressAndFiles(t *testing.T) {
	b := streamtest.Server(t)
	b.Front()
	url := b.URL()
	publish := func(want uint64) {
		t.Helper()
		nc, err := nats.Connect(url)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
			t.Fatal(err)
		}
		ack, err := js.Publish(t.Context(), "s", nil)
		if err != nil || ack.Sequence != want {
			t.Errorf("sequence = %+v, %v, want %d", ack, err, want)
		}
	}
	publish(1)
	b.Restart()
	if b.URL() != url {
		t.Errorf("URL is %s after the restart, was %s", b.URL(), url)
	}
	publish(2)
	b.Stop()
	if _, err := nats.Connect(url); err == nil {
		t.Error("connected to a server that was stopped")
	}
	b.Stop()
}

func TestServersAreApart(t *testing.T) {
	one, two := streamtest.Server(t), streamtest.Server(t, streamtest.User("u", "p"))
	if one.URL() == two.URL() {
		t.Errorf("both at %s", one.URL())
	}
	if nc, err := nats.Connect(two.URL()); err == nil {
		nc.Close()
		t.Error("connected without the password")
	}
	nc, err := nats.Connect(two.URL(), nats.UserInfo("u", "p"))
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
}

// TestClusterComesAndGoes: any majority is a broker, and who was away finds the others again.
func TestClusterComesAndGoes(t *testing.T) {
	c := streamtest.NewCluster(t, 3)
	for i := range c.Servers {
		c.Start(i)
	}
	c.Whole()
	nc, err := nats.Connect(c.URLs()[1])
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Replicas: 3}); err != nil {
		t.Error(err)
	}
	c.Servers[0].Stop()
	c.Start(0)
	c.Whole()
}
