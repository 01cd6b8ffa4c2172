package main

import (
	"os/exec"
	"syscall"
)

// dieWithUs has a process killed when this one is gone, whatever it died of.
func dieWithUs(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
