// Package app wires the other internal packages into the two servers, and does nothing else: it turns the configuration into their
// options, adapts the messages of internal/stream to the handlers, starts everything in order and stops it in the opposite one.
//
// It holds no rules about events, work or effects. [Receiver] and [Worker] are what cmd/receiver, cmd/worker and the demo run;
// both return when their context ends and everything they started has stopped.
package app
