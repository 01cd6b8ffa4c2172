package app_test

import (
	"bytes"
	"net/http"
	"strconv"
	"testing"
)

// TestFullEventsAreRefusedAtTheDoor: when EVENTS is full a delivery is answered 503 with Retry-After, and everything that was accepted before
// is still there for the workers to come.
func TestFullEventsAreRefusedAtTheDoor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{EventsMaxBytes: "1MiB"})
	w.startReceiver()
	_, body := w.push("count totals in cents", 0, "")
	uuid := []byte(`"uuid":"`)
	at := bytes.Index(body, uuid) + len(uuid)
	pad := `","pad":"` + string(bytes.Repeat([]byte("x"), 50<<10))
	accepted := uint64(0)
	for i := range 100 {
		own := append(append(bytes.Clone(body[:at]), strconv.Itoa(i)+pad...), body[at+bytes.IndexByte(body[at:], '"'):]...)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.receiver+"/hooks/shop", bytes.NewReader(own))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Repo-Token", webhookToken)
		resp, err := w.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusAccepted {
			accepted++
			continue
		}
		if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
			t.Errorf("answered %d, Retry-After %q", resp.StatusCode, resp.Header.Get("Retry-After"))
		}
		break
	}
	if n := w.counts().Events; accepted == 0 || accepted == 100 || n != accepted {
		t.Errorf("%d were accepted, %d are there", accepted, n)
	}
}
