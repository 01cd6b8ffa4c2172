package main

import (
	"strings"
	"testing"
)

func TestPage(t *testing.T) {
	r := good()
	r.spells = []spell{{killWorker, at(0), at(4)}, {killWorker, at(9), at(20)}, {codeArtsCut, at(30), at(40)}}
	r.done = []settled{{at(1), at(2)}, {at(5), at(30)}, {at(21), at(61)}}
	o := options{Seconds: 60, Rate: 50, Seed: 7}
	page := string(r.page(o, []byte(`{"seed":7}`), machine{"abc", "Linux 6", "a processor", "8 kB", 2}))
	for _, want := range []string{
		"make torture SECONDS=60 RATE=50 SEED=7\n", "Nothing was lost", "Commit abc. Linux 6; 2 × a processor, memory 8 kB.",
		"{\"seed\":7}\n", "| `kill_worker` | 2 | 0.0 | 10.0 | 10.0 |\n", "| `codearts_cut` | 1 | 21.0 |", "| all | 3 | 10.0 | 21.0 |",
		"| 1 s | 1 |\n| 3 s | 0 |\n| 10 s | 0 |\n| 30 s | 1 |\n| 100 s | 1 |\n| 300 s | 0 |\n| more | 0 |\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	r.Lost = 1
	r.judge(allFaults())
	if page := string(r.page(o, nil, machine{})); !strings.Contains(page, "- 1 effects never happened\n") || strings.Contains(page, "Nothing was lost") {
		t.Error(page)
	}
}
