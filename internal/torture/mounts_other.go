//go:build unix && !linux

package main

import "errors"

var errNoMounts = errors.New("only Linux lets a program mount a disk that nobody else sees")

func canMount() bool { return false }

func withMounts() (code int, err error) { return 0, errNoMounts }

func mountSmall(string, int) error { return errNoMounts }

func unmount(string) error { return errNoMounts }
