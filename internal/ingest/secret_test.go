package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/millrace/millrace/pkg/events"
)

func TestSecretRedactsItself(t *testing.T) {
	s := Secret(testSecret)
	data, err := json.Marshal(struct{ S Secret }{s})
	if err != nil {
		t.Fatal(err)
	}
	shown := fmt.Sprintf("%v %+v %#v %s %q %x %d %s %s", s, s, s, s, s, s, s, s.String(), data)
	if strings.Contains(shown, "marker") || strings.Contains(shown, fmt.Sprintf("%x", "marker")) || !strings.Contains(string(data), redacted) {
		t.Error(shown)
	}
}

// The secret of a source, right or wrong, given or configured, shows up nowhere.
func TestNoSecretAnywhere(t *testing.T) {
	const given = "marker-given-9b1c"
	r := newRig(t, func(o *Options) { o.MaxBody = 1000 })
	r.store.fail = func(context.Context, *events.Event) error { return errors.New("away") }
	var told strings.Builder
	for _, f := range flaws(1000) {
		req := delivery(`{"note":"` + given + `"}`)
		req.Header.Set("X-Gitlab-Token", given)
		req.Header.Set("Authorization", "Bearer "+given)
		f.apply(req)
		fmt.Fprintf(&told, "%+v\n", r.send(t, req))
	}
	options := Options{Sources: []Source{tokenSource("repo")}}
	everything := told.String() + r.log.String() + fmt.Sprintf("%v %+v %#v", options, options, options)
	for _, marker := range []string{testSecret, given, fmt.Sprintf("%x", testSecret)} {
		if strings.Contains(everything, marker) {
			t.Errorf("%s was shown", marker)
		}
	}
}
