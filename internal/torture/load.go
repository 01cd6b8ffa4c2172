package main

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the ids of commits are SHA-1
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// source is the sender's name in the configuration.
const source = "shop"

// repositories is how many repositories there are; the commits of a run are spread over them, since a look-back reads a branch.
const repositories = 8

// redelivered is the part of the events that is delivered a second time, some time later.
const redelivered = 0.05

// shares say how many of a hundred events are sent for what; the rest is plain.
var shares = []struct {
	of      purpose
	percent int
}{{note, 10}, {mode, 3}, {turn, 4}, {tell, 8}}

// delivery is one HTTP request to be made.
type delivery struct {
	At    time.Duration // from the beginning of the load
	Again bool          // it was delivered before
	parcel
}

// parcel is an event as it travels.
type parcel struct {
	event
	Body []byte
}

// load draws the deliveries of a run from a seed: rate new events a second, and some of them again, in the order of their time.
func load(seed uint64, rate int, length time.Duration) []delivery {
	rnd := rand.New(rand.NewPCG(seed, 2))
	n := int(float64(rate) * length.Seconds())
	all := make([]delivery, 0, n+n/10)
	for i := range n {
		d := delivery{At: length * time.Duration(i) / time.Duration(n), parcel: push(seed, i, draw(rnd), rnd.IntN(repositories))}
		all = append(all, d)
		if rnd.Float64() < redelivered {
			d.Again = true
			d.At += time.Duration(rnd.Int64N(int64(4 * time.Second)))
			all = append(all, d)
		}
	}
	slices.SortStableFunc(all, func(a, b delivery) int { return int(a.At - b.At) })
	return all
}

func draw(rnd *rand.Rand) purpose {
	n := rnd.IntN(100)
	for _, s := range shares {
		if n -= s.percent; n < 0 {
			return s.of
		}
	}
	return plain
}

// push is the i-th event of a run: a push to a branch that is named after what it is for.
func push(seed uint64, i int, of purpose, repository int) parcel {
	sum := sha1.Sum(fmt.Appendf(nil, "%d/%d", seed, i)) //nolint:gosec // as above
	return newParcel(hex.EncodeToString(sum[:]), hex.EncodeToString(sum[:]), of, string(of), repository, nil)
}

// reading is one reading of an alert. Several of one step have its mark and ids of their own.
func reading(l *ladder, step, copy int) parcel {
	mark := fmt.Sprintf("%s/%d", l.name, step)
	sum := sha1.Sum(fmt.Appendf(nil, "%d/%s/%d", l.seed, mark, copy)) //nolint:gosec // as above
	countdown, of := l.countdowns[step%len(l.countdowns)], rung
	if countdown == risen {
		of = rise
	}
	return newParcel(hex.EncodeToString(sum[:]), mark, of, l.branch, 0, map[string]any{"ladder": l.name, "countdown": countdown})
}

// newParcel is a push as CodeArts Repo shapes it, with the mark in it.
func newParcel(id, mark string, of purpose, branch string, repository int, more map[string]any) parcel {
	body := map[string]any{
		"object_kind": "push", "event_name": "push", "uuid": id, "ref": "refs/heads/" + branch, "mark": mark,
		"before": hex.EncodeToString(make([]byte, sha1.Size)), "after": id, "checkout_sha": id,
		"user_name": "Li Na", "user_username": "lina", "user_email": "lina@example.com",
		"project": map[string]any{
			"id": repositoryNumber(repository), "name": "orders", "path_with_namespace": "shop/orders", "default_branch": "main",
			"web_url": "https://codearts.example.com/shop/orders",
		},
		"commits": []any{}, "total_commits_count": 0,
	}
	for k, v := range more {
		body[k] = v
	}
	data, err := json.Marshal(body)
	if err != nil {
		panic("torture: " + err.Error()) // only texts and numbers are in it
	}
	return parcel{event: event{ID: source + "/" + id, Mark: mark, For: of}, Body: data}
}

// repositoryNumber is the id of a repository.
func repositoryNumber(i int) int { return 2111000001 + i }

// notesRepository is where the fact of the rule "turn" is read, which is another one at every moment.
const notesRepository = 2111000900

// sign is the signature of a body, as X-Hub-Signature-256 carries it.
func sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// risen is a countdown above all rungs.
const risen = 9

// ladder is an alert that runs down and is renewed, again and again. Each step leads to exactly one message: to a rung, or to the
// renewal.
type ladder struct {
	name, branch string
	seed         uint64
	countdowns   []int
}

// ladders are the alerts of a run. In the short ones a memory that falls back by one step is wrong about the next.
func ladders(seed uint64) []*ladder {
	var all []*ladder
	for i := range 6 {
		all = append(all, &ladder{fmt.Sprintf("short-%d", i), "ladder-short", seed, []int{1, risen}})
	}
	for i := range 4 {
		all = append(all, &ladder{fmt.Sprintf("long-%d", i), "ladder-long", seed, []int{5, 4, 3, 2, 1, risen}})
	}
	return all
}
