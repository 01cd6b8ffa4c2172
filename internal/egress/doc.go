// Package egress says whether an address a person gave us may be dialled, and dials only what may.
//
// It owns the policy (which networks, hosts, ports and schemes), the transport that keeps it, and the report that says point by point
// what is wrong with an address. A name is resolved once for each connection, every address it leads to is judged, and what was judged
// is what is dialled: no second answer of a name server comes in between. The last judgement is made on the socket itself, just before it
// connects. A name that leads to any address that is not permitted is refused whole.
//
// It never follows a redirect, never uses a proxy that is not set, and never dials a metadata or link-local address, whatever is
// allowed. An address is a secret, for who knows it can post: reports, errors and log lines have its scheme and host at most, as in
// https://oapi.dingtalk.com/…, and the address a name resolved to goes to the log only.
//
// With a proxy the proxy owns egress: it resolves names, so only literal addresses, ports and schemes are judged here.
//
// CodeArts is not called through this package: inside its cloud it has private addresses.
//
// Start with New.
package egress
