// Package shop is the made-up customer whom the demo and the fake CodeArts serve: one repository, one build task, one package that
// runs out, and the robots of two chat groups.
//
// It owns the names of that world, furnishes a fake CodeArts with it, and serves both fakes at one address, where people can push and
// let days go by. It never talks to anything but its own fakes, and is fit for tests and for trying out, nothing else: whoever
// reaches the address may do everything.
//
// To start: New, serve it, SetHook.
package shop
