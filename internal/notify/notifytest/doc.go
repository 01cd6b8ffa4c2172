// Package notifytest is a fake of the places messages go to: robots of DingTalk and Feishu, and a receiver of webhooks.
//
// It owns the other side of each protocol, written from the products' rules and not from internal/notify: it checks addresses,
// signatures, times, sizes and bodies, answers as the products do, and remembers what it would have shown. It never sends anything.
//
// Start with New; GET /_fake/messages lists what came, as JSON.
package notifytest
