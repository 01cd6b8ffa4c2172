package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
)

// machine is what a run was made on.
type machine struct {
	commit, system, processor, memory string
	processors                        int
}

// thisMachine asks what is known of this one. What is not known is empty.
func thisMachine(ctx context.Context) machine {
	said := func(name string, args ...string) string {
		out, _ := exec.CommandContext(ctx, name, args...).Output() // what cannot be asked is left out
		return string(bytes.TrimSpace(out))
	}
	m := machine{commit: said("git", "rev-parse", "HEAD"), system: said("uname", "-sr") + ", " + runtime.Version(), processors: runtime.NumCPU()}
	if m.commit != "" && said("git", "status", "--porcelain") != "" {
		m.commit += ", with changes"
	}
	m.processor, m.memory = lineOf("/proc/cpuinfo", "model name"), lineOf("/proc/meminfo", "MemTotal")
	return m
}

// lineOf is the value of the first line of a file that has a name, a colon and a value.
func lineOf(file, name string) string {
	data, _ := os.ReadFile(file) //nolint:gosec // one of two
	for line := range strings.Lines(string(data)) {
		if have, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(have) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// page is a report as a page of Markdown; line is it as JSON.
func (r *Report) page(o options, line []byte, m machine) []byte {
	var p bytes.Buffer
	command := fmt.Sprintf("make torture SECONDS=%d RATE=%d SEED=%d", o.Seconds, o.Rate, o.Seed)
	if o.Break != "" {
		command += " BREAK=" + o.Break
	}
	verdict := "Nothing was lost and nothing was done twice."
	if len(r.Why) > 0 {
		verdict = "What speaks against it:\n\n- " + strings.Join(r.Why, "\n- ")
	}
	fmt.Fprintf(&p, "# Torture for %d s, seed %d\n\n```sh\n%s\n```\n\n%s\n\n", o.Seconds, o.Seed, command, verdict)
	fmt.Fprintf(&p, "Commit %s. %s; %d × %s, memory %s.\n\n", m.commit, m.system, m.processors, m.processor, m.memory)
	fmt.Fprintf(&p, "The last line of standard output:\n\n```json\n%s\n```\n\n", line)
	r.faultTable(&p)
	r.histogram(&p)
	return p.Bytes()
}

// faultTable is a row for each kind of fault.
func (r *Report) faultTable(p *bytes.Buffer) {
	p.WriteString("Faults, and the seconds from the end of each until everything that had been accepted by then was done:\n\n")
	p.WriteString("| Fault | Times | p50 | p99 | Longest |\n|---|---|---|---|---|\n")
	row := func(name string, spells []spell) {
		all := recoveries(spells, r.done)
		fmt.Fprintf(p, "| %s | %d | %.1f | %.1f | %.1f |\n", name, len(all), percentile(all, 50), percentile(all, 99), percentile(all, 100))
	}
	by := map[string][]spell{}
	for _, s := range r.spells {
		by[s.kind] = append(by[s.kind], s)
	}
	for _, kind := range slices.Sorted(maps.Keys(by)) {
		row("`"+kind+"`", by[kind])
	}
	row("all", r.spells)
}

// histogram counts events by how long it took until they were done.
func (r *Report) histogram(p *bytes.Buffer) {
	p.WriteString("\nEvents that lead to something, by the seconds from their acceptance to the last of their effects:\n\n")
	p.WriteString("| Up to | Events |\n|---|---|\n")
	took := times(r.done)
	for _, limit := range []float64{0.1, 0.3, 1, 3, 10, 30, 100, 300} {
		n := 0
		for len(took) > 0 && took[0] <= limit {
			n, took = n+1, took[1:]
		}
		fmt.Fprintf(p, "| %g s | %d |\n", limit, n)
	}
	fmt.Fprintf(p, "| more | %d |\n", len(took))
}
