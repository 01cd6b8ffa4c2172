// Package demo is Millrace's story, told by the real thing: an embedded nats-server, the receiver and a worker on one side, a
// fake CodeArts and fake chat robots behind real HTTP on the other.
//
// [Run] plays it. Whether it came out as told is read from the other side, over HTTP, and from the stores of the broker;
// never from what Millrace says of itself. The log lines of receiver and worker are only what the timeline is made of.
package demo
