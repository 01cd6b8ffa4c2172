package app

import (
	"go/build"
	"testing"
)

// TestNothingIsBroken: what breaks mechanisms on purpose is in no build but that of the torture run.
func TestNothingIsBroken(t *testing.T) {
	release := build.Default
	release.BuildTags = nil
	torture := release
	torture.BuildTags = []string{"torture"}
	for _, tt := range []struct {
		name    string
		with    build.Context
		file    string
		matches bool
	}{
		{"release", release, "broken.go", false},
		{"release", release, "whole.go", true},
		{"torture", torture, "broken.go", true},
		{"torture", torture, "whole.go", false},
	} {
		if got, err := tt.with.MatchFile(".", tt.file); err != nil || got != tt.matches {
			t.Errorf("%s is part of a %s build: %t, %v", tt.file, tt.name, got, err)
		}
	}
}
