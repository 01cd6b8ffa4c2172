// Package notify tells people: it sends one message to one target, a log, a generic webhook, or a robot of DingTalk or Feishu.
//
// It owns what each product wants: address, signature, body, size, rate, and the meaning of its answers; and the escaping that keeps a
// value out of an event from becoming a mention, a link or markup. It never retries, queues or waits: an error says by its behaviour
// (Retryable, RetryAfter, Class) what the stream should do. It opens no connection but through the round tripper it is given. No
// address, query, signature or secret appears in an error, a log line or a print of any of its values.
//
// An answer counts as sent only if the product says so: for a robot HTTP 200 with code 0 in a body that can be read, for a webhook
// any 2xx. A message may arrive twice (the answer was lost, the message sent again); Message.ID is the same each time.
//
// Start with New.
package notify
