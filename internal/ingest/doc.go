// Package ingest is HTTP in: it takes deliveries from configured sources, proves who sent
// them, and answers 202 only for what is stored.
//
// It owns the route of deliveries, POST /hooks/{source}, the order in which a delivery is refused
// (unknown source 404, method 405, media type 415, announced size 413, a token that is wrong 401, no memory 503, size 413, sender 401,
// syntax 400, too much of this source 429), the id an event gets, and what the sender is told. It is the only package that imports Echo.
// A second route, POST /v1/webhooks/check, is for operators with a token, and only there if a
// [Checker] is.
//
// It never parses a body whose sender is not verified, never stores or logs a secret,
// never logs a body, never tells a sender why a verification failed, and keeps no queue:
// an event is with the [Publisher] or it is refused. The Publisher is also the seat of
// the journal: what stores an event before the broker has it implements this interface.
//
// Start with [New], serve with [HTTPServer].
package ingest
