// Package rules is the rule language: it reads rule files, checks them against a catalogue of events and facts, finds the rules an
// event is a candidate of, and decides what a rule does with an event, with the reasons.
//
// It owns the words of a rule file, the expressions in them, and the shape of decisions and actions. It never touches the network, a
// clock, files or a log: rule files come in as bytes, facts as finished values, the time as an argument. So a worker, the rule
// tests, explain and a backtest run the same code and agree.
//
// Start with Compile, which gives a Ruleset or all problems of all files at once. Ruleset.Match gives the candidates of an event;
// Rule.Begin starts a Run, which says which facts it wants (Next), takes them (Provide), and ends in a Decision (Decide).
//
// Expressions are CEL with its string, list, math and optional extensions, our short, truncate, glob, days_until and link, and limits
// on what one evaluation, and all of a run, may cost. They are checked when a file is loaded; what they name are typed variables:
//
//   - event, after Catalogue.Event; event.time and all other times are RFC 3339 text, timestamp(event.time) computes with them
//   - facts, with one field for each fact of the rule
//   - vars, the constants of the file
//   - item, inside a for_each
//   - results, in an action after a commit or a build
//
// There is no clock. Every field may be null: a comparison with null is allowed, to select from null or to compute with it is an
// *EvalError that names what was null. A list or a map is tested with has(…), because CEL compares neither with null.
package rules
