//go:build unix && !linux

package main

import (
	"os/exec"
	"syscall"
)

// dieWithUs keeps signals of the terminal to this process; what it starts survives it if it is killed.
func dieWithUs(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
