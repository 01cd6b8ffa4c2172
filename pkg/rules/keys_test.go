package rules

import (
	"slices"
	"testing"
	"time"
)

// TestMappings: the tables are whole: every key says what it means, and what they name is there.
func TestMappings(t *testing.T) {
	all := Mappings()
	names := map[string]bool{}
	for _, m := range all {
		if m.Name == "" || m.Where == "" || m.Doc == "" || names[m.Name] {
			t.Errorf("%+v", m)
		}
		names[m.Name] = true
	}
	for _, m := range all {
		var keys []string
		for _, k := range m.Keys {
			if k.Name == "" || k.Doc == "" || slices.Contains(keys, k.Name) {
				t.Errorf("%s: %+v", m.Name, k)
			}
			keys = append(keys, k.Name)
			if of := k.Form == FormMapping || k.Form == FormMappings; of != (k.Of != "") || of && !names[k.Of] {
				t.Errorf("%s.%s is of %q", m.Name, k.Name, k.Of)
			}
			if (k.Form == FormWord) != (len(k.Words) > 0) || k.Default != "" && len(k.Words) > 0 && k.Default != k.Words[0] {
				t.Errorf("%s.%s: %v, by default %q", m.Name, k.Name, k.Words, k.Default)
			}
		}
		for _, name := range m.OneOf {
			if !slices.Contains(keys, name) {
				t.Errorf("%s has no %s", m.Name, name)
			}
		}
		for _, c := range m.Cases {
			for _, name := range slices.Concat([]string{c.Key}, c.Needs, c.Without) {
				if !slices.Contains(keys, name) {
					t.Errorf("%s has no %s", m.Name, name)
				}
			}
		}
	}
}

func TestBrief(t *testing.T) {
	for d, want := range map[time.Duration]string{
		30 * time.Second: "30s", time.Minute: "1m", 90 * time.Second: "1m30s", time.Hour: "1h", 24 * time.Hour: "24h",
		61 * time.Minute: "1h1m", 10 * time.Hour: "10h", time.Hour + 30*time.Second: "1h0m30s",
	} {
		if got := brief(d); got != want {
			t.Errorf("%s: %s", got, want)
		}
	}
}
