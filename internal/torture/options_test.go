package main

import (
	"io"
	"slices"
	"strings"
	"testing"
)

func TestOptions(t *testing.T) {
	for _, tt := range []struct {
		args, wrong string
	}{
		{"", ""},
		{"-seconds 20 -rate 80 -seed 7 -break trailer -keep", ""},
		{"-seed= -break=", ""},
		{"-break everything", "no mechanism"},
		{"-break all -report x.md", "about one run"},
		{"-break all", ""},
		{"-break journal -report x.md", ""},
		{"-power-loss each", ""},
		{"-power-loss stores -seconds 25", ""},
		{"-power-loss some", "no loss of power"},
		{"-power-loss all -break trailer", "breaks nothing else"},
		{"-seed x", "no whole number"},
		{"-seconds 1", "too little"},
		{"-rate 0", "too little"},
		{"more", "not understood"},
	} {
		o, err := readOptions(strings.Fields(tt.args), io.Discard)
		if (err == nil) != (tt.wrong == "") || err != nil && !strings.Contains(err.Error(), tt.wrong) {
			t.Errorf("%q: %v", tt.args, err)
		}
		if tt.args == "" && (o.Seconds != 60 || o.Rate != leastRate || o.Seed == 0 || o.Break != "") {
			t.Errorf("by default: %+v", o)
		}
		if strings.Contains(tt.args, "80") && (o.Seconds != 20 || o.Rate != 80 || o.Seed != 7 || o.Break != "trailer" || !o.Keep) {
			t.Errorf("%q: %+v", tt.args, o)
		}
	}
	if got := (&options{Break: all}).breaks(); !slices.Equal(got, mechanisms()) {
		t.Errorf("all is %q", got)
	}
	if got := (&options{}).breaks(); !slices.Equal(got, []string{""}) {
		t.Errorf("nothing is %q", got)
	}
	a, _ := readOptions(nil, io.Discard)
	b, _ := readOptions(nil, io.Discard)
	if a.Seed == b.Seed {
		t.Errorf("twice the seed %d", a.Seed)
	}
}
