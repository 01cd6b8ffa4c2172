package notify

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
)

// robot is what the robots of the chat products have in common: a rate, and answers whose code counts more than their status.
type robot struct {
	*poster
	window  *window
	codes   []codeMember // the first one in the answer counts
	message string       // the member with the text
	// meaning explains a code, false when it is not known.
	meaning func(code, text string) (verdict, bool)
}

// send posts a body that build makes at the last moment: signatures hold the time.
func (r *robot) send(ctx context.Context, query url.Values, body []byte, signature string) error {
	a, err := r.post(ctx, query, nil, body)
	if err != nil {
		return err
	}
	said, ok := r.decode(a)
	if a.status == http.StatusOK && said.sent() {
		return nil
	}
	e := r.fail(a, r.explain(a, said, ok, signature))
	e.Code = said.code
	return e
}

// explain is the meaning of an answer that is not success.
func (r *robot) explain(a *answer, said robotAnswer, ok bool, signature string) verdict {
	var v verdict
	known := false
	if ok {
		v, known = r.meaning(said.code, said.text)
	}
	switch {
	case known:
	case a.status != http.StatusOK:
		v = r.judge(a)
	case !ok:
		v = later(ClassAnswer, "an answer without a code, so the message may not have been shown", 0)
	default:
		v = later(ClassAnswer, "an unknown code", 0)
	}
	if text := r.scrub.clean(said.text, signature, url.QueryEscape(signature)); text != "" {
		v.reason += `; it says "` + text + `"`
	}
	if v.class == ClassRate {
		if after := r.retryAfter(a.header); after > 0 {
			v.after = after
		}
		r.window.block(r.now().Add(v.after))
	}
	return v
}

// admit asks the window for a place.
func (r *robot) admit() error {
	if wait := r.window.take(r.now()); wait > 0 {
		return r.fail(nil, later(ClassRate, "the rate the robot may be used at is reached", wait))
	}
	return nil
}

// codeMember is a member of an answer that may hold the code.
type codeMember struct {
	name   string
	proves bool // a 0 in it means the message was sent
}

// robotAnswer is what an answer says.
type robotAnswer struct {
	code   string // a whole number, "" when there is none
	proves bool
	text   string
}

func (r robotAnswer) sent() bool { return r.code == "0" && r.proves }

// decode reads an answer. It is false for what is not one JSON object with a whole number as code.
func (r *robot) decode(a *answer) (robotAnswer, bool) {
	if !a.whole {
		return robotAnswer{}, false
	}
	return decodeAnswer(a.body, r.codes, r.message)
}

func decodeAnswer(body []byte, codes []codeMember, message string) (robotAnswer, bool) {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return robotAnswer{}, false
	}
	var said robotAnswer
	if json.Unmarshal(members[message], &said.text) != nil {
		said.text = ""
	}
	for _, c := range codes {
		raw, there := members[c.name]
		if !there {
			continue
		}
		if !regexp.MustCompile(`^(0|-?[1-9][0-9]{0,9})$`).Match(raw) {
			return said, false
		}
		said.code, said.proves = string(raw), c.proves
		return said, true
	}
	return said, false
}
