// Command torture breaks a running Millrace and counts what that cost: three NATS servers, two receivers and two workers as processes of
// their own, a fake CodeArts and fake robots behind real HTTP, deliveries at a steady rate, and faults drawn from a seed. At the end it
// compares four ledgers: what was answered 2xx, what is in EVENTS, what CodeArts has in its history, what the robots received. Its last
// line of standard output is a JSON object ([Report]); it exits 1 when anything was lost or done twice, or when the run does not count.
//
// It owns the harness and the counting. It never looks into the product but through its doors: HTTP, its log lines, what is in the
// broker. Mechanisms are broken on purpose (-break) by binaries built with the tag "torture"; no other binary holds that code.
//
// Start with `make torture`; what there is to set is printed by `go run ./internal/torture -h`. It needs a Unix and the Go toolchain.
package main
