// Package backtest plays two rulesets on the events of the past, with the facts that were recorded then, and reports what one would do
// otherwise than the other.
//
// It owns which rules have to be played at all, how recorded facts are found again, what is told apart, and the report. Playing is the work of
// package trial, which is that of a worker. It has no client of any service and no network: events and records are handed in, and nothing
// is ever carried out. A fact that was not recorded makes an event not comparable for a rule; it is never guessed.
//
// Start with [Run].
package backtest
