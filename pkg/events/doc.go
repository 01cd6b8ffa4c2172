// Package events is Millrace's inbound vocabulary: what an event is, how a body is
// classified, how it is read, and which of its fields a rule may name.
//
// It owns the envelope ([Event], CloudEvents attributes and the body exactly as it
// came), the kinds of events ([Types]), the one-pass reading done before an event is
// accepted ([Scan]), the tolerant reading done on the way out ([Decode] into a [View])
// and the list of scalars rules are indexed by ([Field], [Flat]).
//
// It never verifies a sender, touches the network, a file or the clock, logs, or knows
// what a rule is. Bodies are those of the GitLab family (CodeArts Repo, GitCode, GitLab,
// Codeup and others), of Millrace's own build template (which builds found by asking have
// too), and of its schedules. Every
// field of a body is optional and may have the wrong type: such a field is absent, the
// event is still an event.
//
// Start with [Scan] for the way in and with [Decode] for the way out.
package events
