package main

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// options say what a run is like.
type options struct {
	Seconds, Rate int
	Seed          uint64
	Break         string // the mechanism to break, "" is none
	Keep          bool   // the folder of the run
	progress      func(format string, args ...any)
}

// mechanisms are what can be broken on purpose.
func mechanisms() []string {
	return []string{"action_record", "trailer", "journal", "alert_cas", "run_record"}
}

// readOptions reads the command line. The help is written to out.
func readOptions(args []string, out io.Writer) (options, error) {
	o := options{}
	flags := flag.NewFlagSet("torture", flag.ContinueOnError)
	flags.SetOutput(out)
	seed := ""
	flags.IntVar(&o.Seconds, "seconds", 60, "how long deliveries and faults go on")
	flags.IntVar(&o.Rate, "rate", leastRate, "new events a second; 5 % of them are delivered again, and readings of alerts come on top")
	flags.StringVar(&seed, "seed", "", "decides load and faults; empty: a new one, which is printed")
	flags.StringVar(&o.Break, "break", "", "break a mechanism on purpose, and see that the figures notice: "+strings.Join(mechanisms(), ", "))
	flags.BoolVar(&o.Keep, "keep", false, "keep logs and stores; they are kept anyway when something is wrong")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	var err error
	switch {
	case flags.NArg() > 0:
		err = fmt.Errorf("%q is not understood", flags.Arg(0))
	case o.Seconds < 5 || o.Rate < 1:
		err = fmt.Errorf("%d seconds at %d a second are too little; give at least 5 and 1", o.Seconds, o.Rate)
	case o.Break == "journal":
		err = fmt.Errorf("the receivers of the run have no journal that could be broken")
	case o.Break != "" && !slices.Contains(mechanisms(), o.Break):
		err = fmt.Errorf("there is no mechanism %q; there are %s", o.Break, strings.Join(mechanisms(), ", "))
	case seed == "":
		o.Seed = rand.Uint64N(1_000_000_000)
	default:
		if o.Seed, err = strconv.ParseUint(seed, 10, 64); err != nil {
			err = fmt.Errorf("the seed %q is no whole number", seed)
		}
	}
	return o, err
}
