package app

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// TestSentTypes: which events come of a configuration's sources. The word forge stands for all that forges send.
func TestSentTypes(t *testing.T) {
	forge := append(slices.DeleteFunc(events.Types(), func(kind string) bool { return strings.HasPrefix(kind, "build.") }), rules.UnknownTypes)
	polls := config.Source{CodeArtsBuilds: config.CodeArtsBuilds{ProjectID: "p"}}
	for _, row := range []struct {
		name    string
		sources map[string]config.Source
		want    []string
	}{
		{"none", nil, forge},
		{"a forge", map[string]config.Source{"shop": {}}, forge},
		{"a project alone", map[string]config.Source{"builds": polls}, append(slices.Clone(forge), "build.finished")},
		{"both", map[string]config.Source{"shop": {}, "builds": polls}, append(slices.Clone(forge), "build.finished")},
		{"notices", map[string]config.Source{"notices": {Sends: []string{"build.f*", "unknown.*"}}}, []string{"build.failed", "build.finished", "schedule.tick", rules.UnknownTypes}},
		{"a forge and notices", map[string]config.Source{"shop": {}, "notices": {Sends: []string{"build.failed"}}}, append(slices.Clone(forge), "build.failed")},
		{"little", map[string]config.Source{"shop": {Sends: []string{"push"}}, "builds": polls}, []string{"push", "build.finished", "schedule.tick"}},
	} {
		slices.Sort(row.want)
		if diff := cmp.Diff(row.want, sentTypes(&config.Config{Sources: row.sources})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.name, diff)
		}
	}
}
