package ingest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/events"
)

// listen serves the rig on a loopback port until the test ends.
func (r *rig) listen(t testing.TB, change func(*http.Server)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := HTTPServer(ln.Addr().String(), r.Server)
	if change != nil {
		change(srv)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
	return ln.Addr().String()
}

// raw sends text as it is and reads one answer. Half-closing tells the server that no
// more will come.
func raw(t *testing.T, addr, text string, halfClose bool) answered {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		t.Logf("the server stopped reading: %v", err) // it may, and answer
	}
	if halfClose {
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.Header.Get("Content-Type") != "application/json" {
		return answered{Status: res.StatusCode, Header: res.Header, Error: string(body)}
	}
	return parseAnswer(t, res.StatusCode, res.Header, body)
}

// patience is how long a test waits for any one thing.
const patience = 2 * time.Minute

const wireHead = "POST /hooks/repo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Repo-Token: " + testSecret + "\r\n"

func TestWireBodies(t *testing.T) {
	const limit = 1000
	r := newRig(t, func(o *Options) { o.MaxBody = limit })
	patient := r.listen(t, nil)
	// Headers may take their time there: a machine that stalls is no slow sender.
	hasty := r.listen(t, func(s *http.Server) { s.ReadHeaderTimeout, s.ReadTimeout = time.Minute, 300*time.Millisecond })
	big := "{" + strings.Repeat(" ", limit) + "}"
	chunk := func(body string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(body), body) }
	rows := []struct {
		name, text string
		halfClose  bool
		want       int
		reason     string
	}{
		{"length", "Content-Length: 2\r\n\r\n{}", false, 202, ""},
		{"chunked", "Transfer-Encoding: chunked\r\n\r\n" + chunk("{") + chunk("}") + "0\r\n\r\n", false, 202, ""},
		{"no length", "\r\n{}", true, 400, "not_json"}, // HTTP: no body then
		{"length over the cap, nothing sent, hasty", "Content-Length: 1001\r\n\r\n", false, 413, "too_large"},
		{"huge length", "Content-Length: 9223372036854775807\r\n\r\n{", false, 413, "too_large"},
		{"chunks over the cap", "Transfer-Encoding: chunked\r\n\r\n" + chunk(big) + chunk(big), false, 413, "too_large"},
		{"length too small", "Content-Length: 1\r\n\r\n{}", true, 400, "not_json"},
		{"length too large", "Content-Length: 10\r\n\r\n{}", true, 400, "broken_body"},
		{"bad chunk", "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}", true, 400, "broken_body"},
		{"cut chunk", "Transfer-Encoding: chunked\r\n\r\n5\r\n{}", true, 400, "broken_body"},
		{"too slow, hasty", "Content-Length: 2\r\n\r\n{", false, 408, "too_slow"},
		{"gzip", "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", false, 415, "content_encoding"},
		{"expecting", "Expect: 100-continue\r\nContent-Length: 1001\r\n\r\n", false, 413, "too_large"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			addr := patient
			if strings.HasSuffix(row.name, ", hasty") {
				addr = hasty
			}
			if got := raw(t, addr, wireHead+row.text, row.halfClose); got.Status != row.want {
				t.Errorf("%+v, want %d", got, row.want)
			}
			if reason, _ := r.last(t)["reason"].(string); reason != row.reason {
				t.Errorf("reason %q, want %q", reason, row.reason)
			}
		})
	}
}

func TestWireHeaders(t *testing.T) {
	r := newRig(t, nil)
	huge := wireHead + "X-Pad: " + strings.Repeat("x", 64<<10) + "\r\nContent-Length: 2\r\n\r\n{}"
	if got := raw(t, r.listen(t, nil), huge, false); got.Status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("64 KiB of headers: %+v", got)
	}
	conn, err := net.Dial("tcp", r.listen(t, func(s *http.Server) { s.ReadHeaderTimeout = 200 * time.Millisecond }))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "POST /hooks/repo HTTP/1.1\r\n"); err != nil {
		t.Logf("the server has closed already: %v", err) // on a machine that stalls
	}
	if _, err := io.ReadAll(conn); err != nil {
		t.Errorf("a sender that never ends its headers is kept: %v", err)
	}
}

func TestHTTPServerHasLimits(t *testing.T) {
	for _, handler := range []http.Handler{newRig(t, nil).Server, http.NotFoundHandler()} {
		s := HTTPServer("127.0.0.1:0", handler)
		if s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 || s.WriteTimeout <= s.ReadTimeout+maxPublishTimeout ||
			s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 || s.ErrorLog == nil {
			t.Errorf("got %+v", s)
		}
	}
	r := newRig(t, nil)
	HTTPServer("", r.Server).ErrorLog.Print("http: TLS handshake error")
	if line := r.last(t); line["message"] != "connection failed" || line["level"] != "debug" {
		t.Errorf("logged %v", line)
	}
}

// Many senders over kept connections: every body is stored once and as it was sent.
func TestWireConcurrent(t *testing.T) {
	const senders, each = 8, 50
	r := newRig(t, nil)
	addr := r.listen(t, nil)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: senders}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for j := range each {
				body := fmt.Sprintf(`{"uuid":"%d-%d","pad":"%s"}`, i, j, strings.Repeat("x", (i*each+j)*40))
				if err := post(t.Context(), client, addr, body); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	all := r.store.all()
	if len(all) != senders*each {
		t.Errorf("%d events", len(all))
	}
	for _, e := range all {
		id, _ := events.Lookup(e.Body, "uuid")
		if e.ID != "repo/"+id {
			t.Fatalf("%s has the body of %s", e.ID, id)
		}
	}
}

func post(ctx context.Context, client *http.Client, addr, body string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/hooks/repo", strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Repo-Token", testSecret)
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusAccepted {
		return fmt.Errorf("%d: %s", res.StatusCode, answer)
	}
	return nil
}
