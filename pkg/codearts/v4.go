package codearts

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// opFileOtherPath is the place of the other row of OpFile, see useV4.
const opFileOtherPath = OpFile + " at its other path"

// useV4 turns the rows that have a call in Repo's v4 into that call. Its answers are the bare object, its failures may have either shape.
//
// Where v4 has the call that reads a file is not certain: the row names repository/files, the vendor's page ShowFile of 2026 repository/file.
// The row is asked first, and the other path when the gateway knows no such call.
func (c *Client) useV4() {
	for _, op := range c.operations {
		if method, path, there := strings.Cut(op.V4, " "); there {
			op.Method, op.Path, op.shape = method, path, shapeBare
		}
	}
	other := *c.operations[OpFile]
	other.Path = strings.TrimSuffix(other.Path, "s")
	c.operations[opFileOtherPath] = &other
}

// noSuchCall reports whether the gateway says that there is no call of this method and path.
func noSuchCall(err error) bool {
	failure, ok := errors.AsType[*APIError](err)
	return ok && (failure.Status == http.StatusMethodNotAllowed || strings.HasPrefix(failure.Code, "APIGW.0101"))
}

// isV4 reports whether commits and files are asked for with v4.
func (c *Client) isV4() bool { return c.repoAPI == RepoV4 }

// commitList is a page of commits: in v2 the list itself, in v4 an object that has it.
type commitList []*Commit

// UnmarshalJSON takes a list, or an object whose member commits is one. An object without commits is not an empty list.
func (l *commitList) UnmarshalJSON(b []byte) error {
	list := b
	if string(b) == "null" {
		return nil
	}
	if bytes.HasPrefix(b, []byte("{")) {
		var object struct {
			Commits json.RawMessage `json:"commits"`
		}
		if err := json.Unmarshal(b, &object); err != nil {
			return err
		}
		if list = object.Commits; list == nil {
			return errors.New("there is no list of commits in it")
		}
	}
	all := []*Commit{}
	if err := json.Unmarshal(list, &all); err != nil {
		return err
	}
	*l = append(commitList{}, all...)
	return nil
}

// commitsQuestion asks for the commits after the first so many; page is the number of the page from 0, for v2.
func (c *Client) commitsQuestion(q CommitsQuery, per, page, after int) question {
	since, until, names := q.Since, q.Until, [2]string{"page", "per_page"}
	values := [2]int{page + 1, per}
	if c.isV4() {
		// v4 leaves both bounds out, v2 takes both in.
		since, until = cut(since, -time.Second), cut(until, time.Second)
		names, values = [2]string{"offset", "limit"}, [2]int{after, per}
	}
	query := map[string][]string{names[0]: {strconv.Itoa(values[0])}, names[1]: {strconv.Itoa(values[1])}}
	for name, value := range map[string]string{"ref_name": q.Ref, "path": q.Path, "since": commitTime(since), "until": commitTime(until)} {
		if value != "" {
			query[name] = []string{value}
		}
	}
	if c.isV4() {
		query["order_by_date"] = []string{"true"}
		if q.Message != "" {
			query["message"] = []string{q.Message}
		}
	}
	return question{path: []string{q.RepoID}, query: query}
}

// cut is t to the second, and so much later; the zero time stays.
func cut(t time.Time, later time.Duration) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Truncate(time.Second).Add(later)
}
