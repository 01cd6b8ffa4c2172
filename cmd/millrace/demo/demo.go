package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/millrace/millrace/cmd/millrace/shop"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

// defaultPatience is how long the story waits for any one thing to happen.
const defaultPatience = 60 * time.Second

// Options say how the demo is told.
type Options struct {
	// Out is where it is told.
	Out io.Writer
	// JSON writes one object a line, the summary last.
	JSON bool
	// Color uses bold and dim on a terminal.
	Color bool
	// Serve goes on running after the story, until the context ends.
	Serve bool

	// lie has the fake CodeArts say that commits were made which were not: a test shows with it that the verifier looks.
	lie bool
	// patience is how long the end may take to come out as told; 0 means the default.
	patience time.Duration
}

// Run tells the story and checks it. Its error says what did not happen. Ending ctx ends it, cleanly.
func Run(ctx context.Context, opts Options) error {
	story := newStory(opts.Out, opts.JSON, opts.Color)
	if !opts.JSON {
		fmt.Fprint(opts.Out, "Millrace: a failed build, a merge request and a package that runs out.\n"+
			"Receiver, worker and nats-server are the real ones; CodeArts and the chat robots are fakes behind real HTTP.\n"+
			"▷ is what people and CodeArts do, everything else is Millrace.\n\n")
	}
	stage, err := open(ctx, story, opts.lie)
	if err != nil {
		return fmt.Errorf("start the demo: %w", err)
	}
	if stage.patience = opts.patience; stage.patience == 0 {
		stage.patience = defaultPatience
	}
	err = play(ctx, stage, story)
	if err == nil {
		err = stage.finish(ctx, story)
	}
	if err == nil && opts.Serve {
		stage.stay(ctx, story)
	}
	closed := stage.close()
	if ctx.Err() != nil {
		story.say("■", "stopped", "everything that was started has ended")
		return closed // what did not happen any more is no failure
	}
	return errors.Join(err, closed)
}

// play makes things happen, one after the other.
func play(ctx context.Context, s *stage, story *story) error {
	story.say("■", "started", "receiver "+s.receiver+", nats-server "+s.nats.ClientURL()+", CodeArts (fake) "+s.codeArts)

	commit := s.fake.Push(shop.RepoID, codeartstest.Push{
		Message: "count totals in cents", AuthorName: "Li Na", AuthorEmail: "lina@example.com", Files: map[string]string{"totals.go": "package orders\n"},
	})
	push := s.fake.PushBody(shop.RepoID, commit)
	var ids struct{ UUID string }
	if err := json.Unmarshal(push, &ids); err != nil {
		return fmt.Errorf("read the push: %w", err)
	}
	s.commit, s.pushID = commit, "shop/"+ids.UUID
	story.name(s.pushID, "the push of "+short(commit))
	story.name("shop/"+mrUUID, "merge request !7")
	story.say("▷", "push", "Li Na pushes "+short(commit)+" “count totals in cents” to "+shop.RepoPath+"; CodeArts posts it")
	if err := story.await(ctx, "the push to be matched", func(l line) bool { return l.Message == "facts awaited" && l.EventID == s.pushID }); err != nil {
		return err
	}
	s.build = s.fake.StartBuild(shop.JobID, commit, "main", "FAILED", 4*time.Second)
	story.say("▷", "build", fmt.Sprintf("CodeArts queues build %d of that commit; it sends no event, ever", s.build))
	return s.playRest(ctx, story, push)
}

func (s *stage) playRest(ctx context.Context, story *story, push []byte) error {
	story.say("▷", "merge", "Wang Fang opens merge request !7")
	if a, err := s.deliver(ctx, mergeRequest(), webhookToken, "Merge Request Hook"); err != nil || a.status != http.StatusAccepted || a.Status != "accepted" {
		return fmt.Errorf("the merge request was not accepted: %+v %w", a, orNil(err))
	}
	story.say("▷", "again", "the push is delivered a second time")
	a, err := s.deliver(ctx, push, webhookToken, "Push Hook")
	if err != nil || a.status != http.StatusAccepted || a.Status != "duplicate" || a.EventID != s.pushID {
		return fmt.Errorf("the redelivery was not recognised: %+v %w", a, orNil(err))
	}
	s.duplicates++
	story.say("▷", "forged", "somebody posts a delivery with a wrong token")
	if a, err = s.deliver(ctx, probe(), "guessed", "Push Hook"); err != nil || a.status != http.StatusUnauthorized {
		return fmt.Errorf("the wrong token was not refused: %+v %w", a, orNil(err))
	}
	s.refused++
	story.say("▷", "check", "the same delivery with the right token: had it been stored before, it would be known now")
	if a, err = s.deliver(ctx, probe(), webhookToken, "Push Hook"); err != nil || a.status != http.StatusAccepted || a.Status != "accepted" {
		return fmt.Errorf("the refused delivery was stored all the same: %+v %w", a, orNil(err))
	}
	if err := story.await(ctx, "a reading of the package", func(l line) bool {
		return l.Message == "run decided" && l.Rule == "package-expiry"
	}); err != nil {
		return err
	}
	story.say("▷", "calendar", "a day goes by at CodeArts: the package CodeArts-pro now runs out in 7 days")
	s.fake.SetPackageDays(shop.ResourceID, 7)
	return nil
}

func orNil(err error) error {
	if err == nil {
		return errors.New("unexpected answer")
	}
	return err
}

// await waits until a line of the log fits.
func (s *story) await(ctx context.Context, what string, fits func(line) bool) error {
	limit := time.NewTimer(defaultPatience)
	defer limit.Stop()
	for {
		found, more := s.seen(fits)
		if found {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		case <-limit.C:
			return fmt.Errorf("waited %s in vain for %s", defaultPatience, what)
		}
	}
}

// stay keeps everything running until the context ends.
func (s *stage) stay(ctx context.Context, story *story) {
	curl := fmt.Sprintf(`curl -sS -X POST %s%s -H 'Content-Type: application/json' -H 'X-Repo-Token: %s' -d '%s'`,
		s.receiver, hookPath, webhookToken, strings.Replace(string(mergeRequest()), mrUUID, "8_try-another-uuid-each-time", 1))
	story.say("■", "serving", "everything goes on running; Ctrl-C ends it. Rules are in "+s.folder+"/rules: change them and see.",
		"Post a merge request of your own:", curl,
		"Look at the fake CodeArts:  curl -s "+s.codeArts+"/_fake/state",
		"Look at the chat:           curl -s "+s.chat+"/_fake/messages",
		"Look at what was accepted:  millrace events list --config "+s.folder+"/millrace.yaml")
	<-ctx.Done()
}
