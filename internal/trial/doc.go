// Package trial tries rules out: it plays a rule on an event with facts that are given, and reads and runs the tests that people
// write for their rules.
//
// It owns the format of test files, what of the rules they reach, and the play itself, which goes the way of a worker step by step:
// candidates, facts, waiting, the loop guard, the decision, results, the memory of alerts. All that decides is code of pkg/rules, the
// same that a worker runs; internal/app tests that both agree. It has no client, no network and no clock: what is asked for is
// answered by the test, and time passes by being set. It reads the files that a test names and writes none.
//
// Start with Find and Read, then Suite.Run. Play is one rule on one event, ExplainRule says why it ends as it does, and Past plays rules
// with what workers recorded of an event.
package trial
