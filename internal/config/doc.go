// Package config reads millrace.yaml and the environment into one checked value.
//
// It owns the settings: their names, defaults, limits and variables, all declared once, as the fields of Config, and the Secret
// type that keeps what must not be seen out of every log, error and dump. It never opens a connection, never reads a rule and
// never guesses: what it does not know is a problem with a position and a remedy, and all problems are reported at once.
//
// Every setting can be given in the environment as MILLRACE_ and its path in upper case, dots and hyphens as underscores; the
// environment wins over the file. An empty variable counts as not set. Reference lists all of them.
//
// Start with Load.
package config
