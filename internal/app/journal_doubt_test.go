package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDoubt: a server that was started again is another one, and one is known once all was published that the journal held when it was found.
func TestDoubt(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	d := newDoubt(folder)
	want := func(want bool) (since uint64) {
		t.Helper()
		is, since := d.state()
		if is != want {
			t.Fatalf("doubt: %t", is)
		}
		return since
	}
	end := func(since uint64) {
		t.Helper()
		if err := d.end(since); err != nil {
			t.Fatal(err)
		}
	}
	want(false)
	d.connected("A")
	early := want(true)
	d.connected("B")
	end(early) // B came since
	end(want(true))
	want(false)
	d.connected("A") // nothing was published while it was there
	end(want(true))
	d.connected("B")
	want(false)
	d.raise()
	end(want(true))
	d.connected("")
	end(want(true))

	d = newDoubt(folder) // this receiver starts again, and finds the server as it was
	d.connected("B")
	want(false)
	for i := range keptServers {
		d.connected(strings.Repeat("x", i+1))
		end(want(true))
	}
	d.connected("B") // forgotten
	want(true)
	for _, content := range []string{"\x00\xff", strings.Repeat("B\n", 10_000) + "A\n"} {
		if err := os.WriteFile(filepath.Join(folder, serversFile), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		d = newDoubt(folder)
		d.connected("A")
		want(true)
	}
}
