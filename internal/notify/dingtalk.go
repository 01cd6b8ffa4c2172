package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// dingTalkSize is the largest request body a custom robot takes, 20 000 bytes (DingTalk, custom robot).
const dingTalkSize = 20_000

type dingTalk struct {
	robot
	secret concealed[string]
}

func newDingTalk(p *poster, secret string) *dingTalk {
	return &dingTalk{
		robot: robot{
			poster: p, message: "errmsg", meaning: dingTalkMeaning,
			codes:  []codeMember{{"errcode", true}, {"status", false}}, // status comes alone when a robot is blocked for its rate
			window: &window{spans: []*span{limit(20, time.Minute)}},
		},
		secret: conceal(secret),
	}
}

type dingTalkBody struct {
	MsgType  string           `json:"msgtype"`
	Markdown dingTalkMarkdown `json:"markdown"`
	At       dingTalkAt       `json:"at"`
}

type dingTalkMarkdown struct {
	Title string `json:"title"`
	Text  string `json:"text"`
}

// dingTalkAt mentions nobody, and says so.
type dingTalkAt struct {
	IsAtAll bool `json:"isAtAll"`
}

// Notify sends a markdown message; its title is also what the notification on a phone shows.
func (d *dingTalk) Notify(ctx context.Context, m Message) error {
	title, heading := titles(m)
	tail := ""
	if link := destination(m.Link); link != "" {
		tail = "\n\n[Open](" + link + ")"
	}
	body, ok := fit(markdown(m.Text), dingTalkSize, func(text string) any {
		return dingTalkBody{
			MsgType:  "markdown",
			Markdown: dingTalkMarkdown{Title: title, Text: "### " + heading + "\n\n" + text + tail},
		}
	})
	if !ok {
		return d.fail(nil, final(ClassSize, "title and link alone are larger than a message may be"))
	}
	if err := d.admit(); err != nil {
		return err
	}
	query, signature := d.sign(d.now())
	return d.send(ctx, query, body, signature)
}

// sign makes the query of a signed request: the milliseconds, and base64 of HMAC-SHA256 keyed by the secret over "ms\nsecret".
func (d *dingTalk) sign(now time.Time) (query url.Values, signature string) {
	secret := d.secret()
	if secret == "" {
		return nil, ""
	}
	ms := strconv.FormatInt(now.UnixMilli(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(ms + "\n" + secret))
	signature = base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return url.Values{"timestamp": {ms}, "sign": {signature}}, signature
}

// dingTalkMeaning explains the codes of a custom robot. All of them come with HTTP 200.
func dingTalkMeaning(code, text string) (verdict, bool) {
	switch code {
	case "310000": // one code for every safety setting, told apart by the text
		text = strings.ToLower(text)
		switch {
		case strings.Contains(text, "sign"):
			return final(ClassConfig, "the robot does not accept the signature: set the target's secret to the one the robot shows (SEC…)"), true
		case strings.Contains(text, "timestamp"):
			return final(ClassConfig, "the robot finds the time more than an hour off: set this machine's clock"), true
		case strings.Contains(text, "keyword"):
			return final(ClassConfig, "the robot wants one of its keywords in every message: let it ask for a signature instead, or use the keyword in the rule's title"), true
		case strings.Contains(text, "ip"):
			return final(ClassConfig, "the robot does not take messages from this machine's address: add it to the robot's list"), true
		default:
			return final(ClassConfig, "the robot's safety setting (signature, keyword or address) does not let the message through"), true
		}
	case "130101", "410100", "1111":
		return later(ClassRate, "the robot gets too many messages", restAfter), true
	case "300005", "400101":
		return final(ClassConfig, "the robot does not know the access_token: set the target's url to the one the robot shows"), true
	case "400102":
		return final(ClassConfig, "the robot is stopped: start it in the group's settings"), true
	case "40035":
		return final(ClassRefused, "the robot misses a parameter"), true
	case "-1":
		return later(ClassUnavailable, "DingTalk is busy", 0), true
	default:
		return verdict{}, false
	}
}
