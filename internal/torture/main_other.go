//go:build !unix

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "torture: processes are stopped and killed by signals, which needs a Unix")
	os.Exit(1)
}
