package main

import (
	"errors"
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

// TestErrorsArePrintable: an error may hold what came from outside, and no terminal obeys that.
func TestErrorsArePrintable(t *testing.T) {
	for _, tt := range []struct {
		err  error
		code int
		want string
	}{
		{nil, 0, ""},
		{errSilent, 1, ""},
		{errors.New("pushed by \x1b[2Jbert\nline 2"), 1, "millrace: pushed by \\u001b[2Jbert\nline 2\n"},
		{usageError{errors.New("no\u202ename")}, 2, "millrace: no\\u202ename\n"},
	} {
		var out strings.Builder
		if code := tell(&out, tt.err); code != tt.code || out.String() != tt.want {
			t.Errorf("%v: exit code %d, %q", tt.err, code, out.String())
		}
	}
}
