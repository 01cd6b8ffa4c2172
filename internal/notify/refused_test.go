package notify_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/notify"
)

// notPermitted is the error of a transport that dials permitted addresses only.
type notPermitted struct{}

func (notPermitted) Error() string   { return "address not permitted" }
func (notPermitted) Retryable() bool { return false }

// TestNotPermitted: an address that may not be dialled is for a person to correct, and the error does not show it.
func TestNotPermitted(t *testing.T) {
	for _, kind := range []string{notify.KindDingTalk, notify.KindFeishu, notify.KindWebhook} {
		n, err := notify.New(notify.Config{
			Kind: kind, Name: "ops", URL: "https://10.0.0.1/Hush-hush",
			Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, notPermitted{} }),
		})
		if err != nil {
			t.Fatal(err)
		}
		err = n.Notify(context.Background(), notify.Message{ID: "m"})
		var e *notify.Error
		if !errors.As(err, &e) || e.Retryable() || e.Class() != notify.ClassAddress || !strings.Contains(e.Reason, "egress") {
			t.Errorf("%s: %v", kind, err)
		}
		if strings.Contains(err.Error(), "Hush") || strings.Contains(err.Error(), "10.0.0.1") {
			t.Errorf("the address shows: %v", err)
		}
	}
}
