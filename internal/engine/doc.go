// Package engine turns an event into decisions and decisions into work: it matches events
// against the rules, fetches the facts a rule asks for, evaluates the rule, and records what
// was decided before it puts any of it as work.
//
// It owns the match record and the run record (two workers, a crash at any line and a
// redelivery all end with the same one of each), the loop guard for our own commits, the
// catalogue of facts and how each is fetched, the loading and reloading of rule files, and the
// asking for builds that nobody announces.
//
// It never acknowledges, parks or dead-letters a message: a handler returns an error, and
// [internal/stream] reads the verdict from the error's behaviour. It never carries an action
// out, and it never talks to JetStream or HTTP itself: records, work, rulesets and events are
// small interfaces declared here.
//
// Start with [Catalogue] and [NewFacts], load the rules with [NewLoader] into a [Live], and
// hand the methods of an [Engine] to the stream: [Engine.Match] for events, [Engine.Run] for
// work.run.<source> and [Engine.Tick] for work.tick; and those of a [Poller]: [Poller.Tick] for work.poll.
package engine
