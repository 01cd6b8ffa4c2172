package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestMisspeltCommands: whatever command is misspelt, at whatever level, the right one is named.
func TestMisspeltCommands(t *testing.T) {
	tried := 0
	var walk func(path []string, cmd *cobra.Command)
	walk = func(path []string, cmd *cobra.Command) {
		for _, c := range cmd.Commands() {
			name := c.Name()
			args := slices.Concat(path, []string{name[:1] + name[2:]})
			root := rootCommand()
			root.SetArgs(args)
			if err := root.Execute(); err == nil || !strings.Contains(err.Error(), "did you mean "+name+"?") {
				t.Errorf("millrace %s: %v", strings.Join(args, " "), err)
			}
			tried++
			walk(slices.Concat(path, []string{name}), c)
		}
	}
	walk(nil, rootCommand())
	if tried < 15 {
		t.Errorf("only %d commands were found", tried)
	}
}
