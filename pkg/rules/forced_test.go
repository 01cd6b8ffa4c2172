package rules

import (
	"encoding/json"
	"testing"
	"time"
)

func TestForcedThroughAHeader(t *testing.T) {
	f := Forced{At: time.Date(2026, 4, 1, 8, 0, 0, 0, time.UTC), By: "lī na@build 1"}
	if got := ReadForced(f.Header()); got == nil || *got != f {
		t.Errorf("%q is read as %+v", f.Header(), got)
	}
	for _, bad := range []string{"", "x", "2026-04-01", " by"} {
		if got := ReadForced(bad); got != nil {
			t.Errorf("%q is read as %+v", bad, got)
		}
	}
}

func TestForcedReadsATimeAlone(t *testing.T) {
	var all []Forced
	if err := json.Unmarshal([]byte(`["2026-04-01T08:00:00Z", {"at":"2026-04-01T08:00:00Z","by":"x"}]`), &all); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 4, 1, 8, 0, 0, 0, time.UTC)
	if len(all) != 2 || all[0] != (Forced{At: at}) || all[1] != (Forced{At: at, By: "x"}) {
		t.Errorf("%+v", all)
	}
}
