package engine

import (
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/events"
)

const (
	maxShort = 1 << 10  // bytes of a name, an id or a time in an event
	maxLong  = 16 << 10 // bytes of a message
)

// buildEvent is the event of a run that has finished. The same run makes the same event, but for its time.
func (s *polledSource) buildEvent(t *polledTask, no int, rec *codearts.BuildRecord, at time.Time) *events.Event {
	repo := events.Repository{ID: short(rec.RepoID), Name: short(rec.RepoName), WebURL: page(t.webURL)}
	if repo.ID == nil {
		repo.ID = short(&t.repository)
	}
	if repo.Name != nil {
		if at := strings.LastIndexByte(*repo.Name, '/'); at >= 0 { // with its namespace it is a path
			path, name := *repo.Name, (*repo.Name)[at+1:]
			repo.Path, repo.Name = &path, short(&name)
		}
	}
	number := strconv.Itoa(no)
	build := events.Build{
		ProjectID: short(new(string(s.Project))), JobID: &t.id, JobName: short(&t.name), BuildNo: &number,
		DailyBuildNum: short(rec.DailyBuildNum), BuildRecordID: short(rec.BuildRecordID),
		Status: short(rec.Status), ErrMsg: clipped(rec.ErrMsg, maxLong), TriggerType: short(rec.TriggerType),
		Branch: short(rec.Branch), Tag: short(rec.Tag), Commit: short(rec.Commit), CommitMessage: clipped(rec.CommitMessage, maxLong),
		Started: short(rec.StartTime), Finished: short(rec.FinishTime),
	}
	if rec.Duration != nil {
		build.Duration = new(int64(*rec.Duration))
	}
	return events.NewBuild(s.Name, repo, build, at)
}

// endedSince tells whether a run finished at floor or later. The times of CodeArts are cut, to the millisecond or to the second.
func endedSince(rec *codearts.BuildRecord, floor time.Time) bool {
	at, unit := finishedAt(rec), time.Millisecond
	if at.Truncate(time.Second).Equal(at) {
		unit = time.Second
	}
	return !at.Before(floor.Truncate(unit))
}

// finishedAt is when a run finished, as far as its record tells; the zero time when it does not.
func finishedAt(rec *codearts.BuildRecord) time.Time {
	if at := moment(rec.FinishTime); !at.IsZero() {
		return at
	}
	began := moment(rec.StartTime)
	if began.IsZero() {
		began = moment(rec.CreateTime)
	}
	if !began.IsZero() && rec.Duration != nil {
		began = began.Add(time.Duration(*rec.Duration) * time.Millisecond)
	}
	return began
}

func moment(text *string) time.Time {
	if text == nil {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339Nano, *text)
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}

func short[T ~string](s *T) *string { return clipped(s, maxShort) }

// clipped is a text of at most so many bytes, cut between two characters; nil for none.
func clipped[T ~string](s *T, most int) *string {
	if s == nil || *s == "" {
		return nil
	}
	text := string(*s)
	if len(text) > most {
		for !utf8.RuneStart(text[most]) {
			most--
		}
		text = text[:most]
	}
	return &text
}

// page is the address of a page without user and password, which some write into the addresses of repositories.
func page(address string) *string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return short(new(u.String()))
}
