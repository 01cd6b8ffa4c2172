package main

import (
	"errors"
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
	Break         string    // the mechanism to break, "" is none, all is one after the other
	Power         powerLoss // instead of all other faults
	Keep          bool      // the folder of the run
	Report        string    // the file that gets a page about the run, "" is none
	progress      func(format string, args ...any)
}

// mechanisms are what can be broken on purpose.
func mechanisms() []string {
	return []string{"action_record", "trailer", "journal", "alert_cas", "run_record"}
}

// all breaks all mechanisms, one after the other.
const all = "all"

// breaks are what to break, a run each.
func (o *options) breaks() []string {
	if o.Break == all {
		return mechanisms()
	}
	return []string{o.Break}
}

// losses are the losses of power to play, a run each.
func (o *options) losses() []powerLoss {
	if o.Power == lossInTurn {
		return powerLosses()
	}
	return []powerLoss{o.Power}
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
	flags.StringVar(&o.Break, "break", "", "break a mechanism on purpose, and see that the figures notice: "+strings.Join(mechanisms(), ", ")+"; or all, one after the other")
	power := ""
	flags.StringVar(&power, "power-loss", "", powerLossDoc)
	flags.BoolVar(&o.Keep, "keep", false, "keep logs and stores; they are kept anyway when something is wrong")
	flags.StringVar(&o.Report, "report", "", "a file to write a page about the run to, in Markdown")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	var err error
	o.Power = powerLoss(power)
	switch {
	case flags.NArg() > 0:
		err = fmt.Errorf("%q is not understood", flags.Arg(0))
	case o.Seconds < 5 || o.Rate < 1:
		err = fmt.Errorf("%d seconds at %d a second are too little; give at least 5 and 1", o.Seconds, o.Rate)
	case o.Break != "" && o.Break != all && !slices.Contains(mechanisms(), o.Break):
		err = fmt.Errorf("there is no mechanism %q; there are %s, and all", o.Break, strings.Join(mechanisms(), ", "))
	case o.Power != noLoss && o.Power != lossInTurn && !slices.Contains(powerLosses(), o.Power):
		err = fmt.Errorf("there is no loss of power %q; there are %s, %s, %s and %s", o.Power, lossBrokers, lossAll, lossStores, lossInTurn)
	case o.Power != noLoss && (o.Break != "" || o.Report != ""):
		err = errors.New("a run with a loss of power breaks nothing else, and has no report of its own")
	case o.Break == all && o.Report != "":
		err = errors.New("a report is about one run, and to break all takes several")
	case seed == "":
		o.Seed = rand.Uint64N(1_000_000_000)
	default:
		if o.Seed, err = strconv.ParseUint(seed, 10, 64); err != nil {
			err = fmt.Errorf("the seed %q is no whole number", seed)
		}
	}
	return o, err
}
