package notify_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/internal/notify"
)

// echo is a server that repeats all it was sent, as the text of an error.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var sent struct{ Sign string }
	_ = json.Unmarshal(body, &sent)
	said := fmt.Sprintf("bad %s, query %s, sign %s %s, headers %v, secret %s",
		r.URL, r.URL.RawQuery, r.URL.Query().Get("sign"), sent.Sign, r.Header, secretMarker)
	w.Header().Set("Location", "https://"+secretMarker+".example.com")
	answer, _ := json.Marshal(map[string]any{"errcode": 7, "code": 7, "errmsg": said, "msg": said})
	w.WriteHeader(map[bool]int{true: http.StatusTeapot, false: http.StatusOK}[strings.HasPrefix(r.URL.Path, "/webhook/")])
	_, _ = w.Write(answer)
}

// TestNothingLeaks drives every channel through every way to fail and prints everything there is in every way there is.
func TestNothingLeaks(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	open := serve(t, http.HandlerFunc(echo))
	var out bytes.Buffer
	log := zerolog.New(&out)
	for _, kind := range kinds() {
		a := account(kind)
		signature := "not signed yet"
		spy := func(c *notify.Config) {
			inner := c.Transport
			c.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				body, err := r.GetBody()
				if err != nil {
					return nil, err
				}
				var sent struct{ Sign string }
				if err := json.NewDecoder(body).Decode(&sent); err != nil {
					return nil, err
				}
				signature = r.URL.Query().Get("sign") + r.Header.Get("Webhook-Signature") + sent.Sign
				return inner.RoundTrip(r)
			})
		}
		broken := func(c *notify.Config) {
			c.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				return nil, &net.OpError{Op: "dial", Err: fmt.Errorf("%s %v %s", r.URL, r.Header, secretMarker)}
			})
		}
		for name, n := range map[string]notify.Notifier{
			"echo":    target(t, a, open.URL, spy),
			"refused": target(t, a, closed.URL, nil),
			"no host": target(t, a, "https://"+tokenMarker+".invalid", nil),
			"broken":  target(t, a, "https://example.com", broken),
		} {
			err := n.Notify(t.Context(), message())
			if err == nil {
				t.Fatalf("%s, %s: sent", kind, name)
			}
			log.Err(err).Any("target", n).Interface("reason", err).Msg("action failed")
			fmt.Fprintf(&out, "%v %+v %#v %v\n", err, err, err, errors.Unwrap(err))
			fmt.Fprintf(&out, "%v %+v %#v %s\n", n, n, n, n)
		}
		if strings.Contains(out.String(), signature) || signature == "" {
			t.Errorf("%s: the signature %q shows", kind, signature)
		}
		c := notify.Config{Kind: kind, Name: "ops", URL: a.URL("ftp://example.com"), Secret: a.Secret, Transport: &http.Transport{}}
		_, err := notify.New(c)
		fmt.Fprintf(&out, "%v %v %+v %#v %s\n", err, c, c, c, &c)
		log.Info().Any("target", c).Interface("target", &c).Err(err).Msg("action failed")
	}
	if i := strings.Index(out.String(), "m4rker"); i >= 0 {
		t.Errorf("a secret shows: …%s…", out.String()[max(0, i-300):min(out.Len(), i+50)])
	}
	if !strings.Contains(out.String(), "target ops") {
		t.Error("nothing was printed")
	}
}
