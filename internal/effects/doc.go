// Package effects carries out one action: it posts a commit, starts a build, sends a message to one
// target, or takes one reading of an alert; and it keeps the ledger, the records of what became of each
// action.
//
// A commit is not idempotent, yet it is made once. Three things together see to that: the
// action record, which only one worker at a time can move to "sent"; a look-back at the branch
// for the trailer Millrace-Action before each attempt; and the fences of the commit itself. An
// attempt whose outcome is unknown is waited out, parked, until it can no longer land. If the branch was
// rewritten or deleted since that attempt, as its old head or an event that named the commit tells, nobody can
// say whether the commit was made: that is the end of it, and not a second commit.
//
// A build is started once as far as the service allows, which starts a run at every call and knows no
// fence and no trailer. Before the first attempt the number of the task's last run is recorded. After
// an attempt of unknown outcome, waited out like that of a commit, the task's runs with a greater
// number are looked at, and the one of the commit asked for is taken for ours, by a record that no other
// action of ours takes it as well. So a run that somebody else starts of the same commit meanwhile
// can be taken for ours, and a run that the service starts or lists only after the wait is a second one.
//
// The rungs of an alert are sent once each: its record takes the intent by compare-and-set
// before the message is put as work, and whoever finds an intent that is not marked puts it
// first, under the same key.
//
// A chat message is sent at least once. Its record takes the attempt by compare-and-set before it is
// sent, so that of two copies of one message, which a crash or a redelivered event leaves behind,
// one is sent. It can be sent again only when the worker dies, or its
// record cannot be written, between the target's answer and the record that follows it at once
// (one write to the broker, a millisecond or so; docs/reliability has the figures), or when the target took the message and its
// answer was lost.
//
// When a commit or a build has ended, well or not, the actions that named its result are rendered and put
// as work before the message is acknowledged.
//
// The package never decides what to do, never acknowledges, parks or dead-letters a message:
// a handler returns an error and the stream reads the verdict from the error's behaviour. It
// knows no JetStream and no chat product: records, work, repositories and notifiers are small
// interfaces declared here.
//
// Start with [New], and hand [Effects.Commit], [Effects.Build], [Effects.Notify], [Effects.Alert]
// and [Effects.Buried] to the stream.
package effects
