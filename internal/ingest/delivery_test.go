package ingest

import (
	"net/http"
	"strings"
	"testing"
)

func TestDeliveryID(t *testing.T) {
	const body = `{"uuid":"u-1","n":7,"o":{"iid":37,"action":"open","empty":"","slash":"a/b"}}`
	fields := func(names ...string) IDFrom { return IDFrom{Fields: names} }
	rows := []struct {
		name string
		from IDFrom
		h    http.Header
		want string
	}{
		{"uuid", IDFrom{}, header(), "u-1"},
		{"webhook-id", IDFrom{}, header("webhook-id", "w", "X-GitHub-Delivery", "g"), "w"},
		{"github", IDFrom{}, header("X-GitHub-Delivery", "g", "X-GitCode-Delivery", "c"), "g"},
		{"gitcode", IDFrom{}, header("X-GitCode-Delivery", "c"), "c"},
		{"gitea", IDFrom{}, header("X-Gitea-Delivery", "t"), "t"},
		{"gitlab", IDFrom{}, header("Idempotency-Key", "i"), "i"},
		{"gitlab's cause is none", IDFrom{}, header("X-Gitlab-Event-UUID", "e"), "u-1"},
		{"empty header", IDFrom{}, header("webhook-id", ""), "u-1"},
		{"longest", IDFrom{}, header("webhook-id", strings.Repeat("x", 200)), strings.Repeat("x", 200)},
		{"too long", IDFrom{}, header("webhook-id", strings.Repeat("x", 201)), hashed([]byte(strings.Repeat("x", 201)))},
		{"white space", IDFrom{}, header("webhook-id", "a b"), hashed([]byte("a b"))},
		{"not ASCII", IDFrom{}, header("webhook-id", "é"), hashed([]byte("é"))},
		{"control", IDFrom{}, header("webhook-id", "a\x7f"), hashed([]byte("a\x7f"))},
		{"body", IDFrom{Body: true}, header("webhook-id", "w"), hashed([]byte(body))},
		{"field", fields("o.iid"), header("webhook-id", "w"), "37"},
		{"fields", fields("o.iid", "o.action", "n"), header(), "37/open/7"},
		{"a slash alone", fields("o.slash"), header(), "a/b"},
		{"a slash among others", fields("o.slash", "n"), header(), hashed([]byte("3:a/b1:7"))},
		{"one field missing", fields("o.iid", "o.none"), header(), "u-1"},
		{"one field empty", fields("o.iid", "o.empty"), header("webhook-id", "w"), "w"},
		{"one field no scalar", fields("o"), header(), "u-1"},
	}
	for _, row := range rows {
		s := &source{name: "repo", idFrom: row.from}
		if got := s.deliveryID(row.h, []byte(body), "u-1"); got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}

// Without an id each delivery is its own event.
func TestNoDeliveryID(t *testing.T) {
	r := newRig(t, nil)
	first, second := r.send(t, delivery(`{}`)), r.send(t, delivery(`{}`))
	if first.EventID == second.EventID || len(r.store.all()) != 2 || len(first.EventID) < len("repo/")+20 {
		t.Errorf("%q and %q", first.EventID, second.EventID)
	}
}

// The same id of two sources is two events.
func TestDeliveryIDIsTheSources(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Sources = append(o.Sources, tokenSource("hub")) })
	first := r.send(t, delivery(`{"uuid":"\"\\<1>"}`))
	req := delivery(`{"uuid":"\"\\<1>"}`)
	req.URL.Path = "/hooks/hub"
	second := r.send(t, req)
	if first.EventID != `repo/"\<1>` || second.EventID != `hub/"\<1>` || second.State != "accepted" {
		t.Errorf("%+v and %+v", first, second)
	}
}
