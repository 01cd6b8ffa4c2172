package app

import (
	"context"
	"fmt"
	"time"

	"github.com/millrace/millrace/internal/engine"
)

// awaitEvery is how often the workers' records are read while they are waited for.
const awaitEvery = 200 * time.Millisecond

// Verdict of a worker on what was pushed.
const (
	WorkerUses    = "uses"    // it has taken it into use
	WorkerRefuses = "refuses" // it has not and will not
	WorkerSilent  = "silent"  // it has not answered in time
	WorkerFiles   = "files"   // it takes its rules from files, so it is not asked
)

// WorkerAnswer is what a worker made of what was pushed.
type WorkerAnswer struct {
	engine.WorkerState
	Verdict string
}

// Await waits until every worker that takes pushed rulesets uses what m pushed, or refuses it, or ctx is done, and tells what each does, once;
// of those that take files, too. ok is that all of them use it: also when there is none. An error says that it cannot be told, or that
// somebody pushed something else meanwhile.
func (a *Archive) Await(ctx context.Context, m *Move, tell func(WorkerAnswer)) (ok bool, err error) {
	told := make(map[string]bool)
	once := func(w engine.WorkerState, verdict string) {
		if !told[w.ID] {
			told[w.ID] = true
			tell(WorkerAnswer{w, verdict})
		}
	}
	tick := time.NewTicker(awaitEvery)
	defer tick.Stop()
	ok = true
	for {
		// What is read when the time is over is the last answer.
		over := ctx.Err() != nil
		workers, err := a.answers(context.WithoutCancel(ctx), m)
		if err != nil {
			return false, err
		}
		waiting := 0
		for _, w := range workers {
			switch {
			case w.From != engine.FromPushed:
				once(w, WorkerFiles)
			case w.Generation == m.Generation && w.Digest == m.To:
				once(w, WorkerUses)
			case w.Generation == m.Generation:
				ok = false
				once(w, WorkerRefuses)
			case over:
				ok = false
				once(w, WorkerSilent)
			default:
				waiting++
			}
		}
		if waiting == 0 {
			return ok, nil
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// answers are the records of all workers, while it is m that is pushed.
func (a *Archive) answers(ctx context.Context, m *Move) ([]engine.WorkerState, error) {
	workers, err := engine.ReadWorkers(ctx, a.conn)
	if err != nil {
		return nil, err
	}
	pushed, err := engine.ReadPushed(ctx, a.conn)
	if err != nil {
		return nil, err
	}
	if pushed.Generation != m.Generation {
		return nil, fmt.Errorf("%s pushed %.12s meanwhile; millrace rules status shows what the workers do", pushed.By, pushed.Digest)
	}
	return workers, nil
}
