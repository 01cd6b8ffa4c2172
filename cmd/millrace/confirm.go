package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// confirm asks a question on standard error, and reads the answer from standard input: nil is yes.
func confirm(cmd *cobra.Command, question string) error {
	fmt.Fprintf(printable{cmd.ErrOrStderr()}, "%s [y/N] ", question)
	answer, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if err != nil {
		fmt.Fprintln(cmd.ErrOrStderr())
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New("not confirmed, so nothing was done; y is yes, and --yes answers beforehand")
}
