// Package journal is the receiver's write-ahead journal: what it has synced to its own disk is accepted, whatever becomes of the broker.
//
// It owns a folder of segment files, the sync that all requests share that wait for it, the publishing of what is in the segments
// until the broker has taken it, and again at the start and after every reconnect, and the door: while the broker refuses events, new
// ones are not taken.
//
// It never answers before a sync, never publishes what it could not write, never trusts a file again whose sync failed, never removes what the broker has not acknowledged,
// never holds more of an event in memory than its request does, and takes nothing on that it has no room for.
//
// Records carry checksums. What a crash has torn or a disk has damaged is found, reported and left out; whole records behind it
// are still found. Nothing that is found makes a start fail.
//
// Start with [Open].
package journal
