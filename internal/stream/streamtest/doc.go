// Package streamtest runs a real nats-server with JetStream inside a test: on the loopback
// interface, on a port of its own, with its files in the test's temporary directory. It
// stands in for a broker, never for internal/stream.
//
// Start with [Server].
package streamtest
