package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"time"
)

// feishuSize is the largest request body a custom bot takes: 20 KB, read as 20 000 bytes (Feishu, custom bot).
const feishuSize = 20_000

type feishu struct {
	robot
	secret concealed[string]
}

func newFeishu(p *poster, secret string) *feishu {
	return &feishu{
		robot: robot{
			poster: p, message: "msg", meaning: feishuMeaning,
			codes:  []codeMember{{"code", true}, {"StatusCode", true}}, // older answers have StatusCode alone
			window: &window{spans: []*span{limit(100, time.Minute), limit(5, time.Second)}},
		},
		secret: conceal(secret),
	}
}

type feishuBody struct {
	Timestamp string     `json:"timestamp,omitempty"`
	Sign      string     `json:"sign,omitempty"`
	MsgType   string     `json:"msg_type"`
	Card      feishuCard `json:"card"`
}

type feishuCard struct {
	Config   feishuConfig    `json:"config"`
	Header   feishuHeader    `json:"header"`
	Elements []feishuElement `json:"elements"`
}

type feishuConfig struct {
	WideScreenMode bool `json:"wide_screen_mode"`
}

type feishuHeader struct {
	Title feishuText `json:"title"`
}

type feishuText struct {
	Tag     string `json:"tag"`
	Content string `json:"content"`
}

// feishuElement is a markdown text, or a row of buttons.
type feishuElement struct {
	Tag     string         `json:"tag"`
	Content string         `json:"content,omitempty"`
	Actions []feishuButton `json:"actions,omitempty"`
}

type feishuButton struct {
	Tag  string     `json:"tag"`
	Text feishuText `json:"text"`
	Type string     `json:"type"`
	URL  string     `json:"url"`
}

// Notify sends a card: the title as plain text, the text as markdown, the link as a button.
func (f *feishu) Notify(ctx context.Context, m Message) error {
	title, _ := titles(m)
	link := destination(m.Link)
	stamp, signature := f.sign(f.now())
	body, ok := fit(markdown(m.Text), feishuSize, func(text string) any {
		return feishuBody{Timestamp: stamp, Sign: signature, MsgType: "interactive", Card: newFeishuCard(title, text, link)}
	})
	if !ok {
		return f.fail(nil, final(ClassSize, "title and link alone are larger than a message may be"))
	}
	if err := f.admit(); err != nil {
		return err
	}
	return f.send(ctx, nil, body, signature)
}

func newFeishuCard(title, text, link string) feishuCard {
	if text == "" && link == "" {
		text = "…" // a card needs a body
	}
	card := feishuCard{
		Config: feishuConfig{WideScreenMode: true},
		Header: feishuHeader{Title: feishuText{Tag: "plain_text", Content: title}},
	}
	if text != "" {
		card.Elements = append(card.Elements, feishuElement{Tag: "markdown", Content: text})
	}
	if link != "" {
		card.Elements = append(card.Elements, feishuElement{Tag: "action", Actions: []feishuButton{{
			Tag: "button", Text: feishuText{Tag: "plain_text", Content: "Open"}, Type: "default", URL: link,
		}}})
	}
	return card
}

// sign makes the two members of a signed body: the seconds, and base64 of HMAC-SHA256 keyed by "seconds\nsecret" over nothing.
func (f *feishu) sign(now time.Time) (stamp, signature string) {
	secret := f.secret()
	if secret == "" {
		return "", ""
	}
	stamp = strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(stamp+"\n"+secret))
	return stamp, base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// feishuMeaning explains the codes of a custom bot.
func feishuMeaning(code, _ string) (verdict, bool) {
	switch code {
	case "19021":
		return final(ClassConfig, "the bot does not accept the signature: set the target's secret to the one the bot shows, and this machine's clock"), true
	case "19022":
		return final(ClassConfig, "the bot does not take messages from this machine's address: add it to the bot's list"), true
	case "19024":
		return final(ClassConfig, "the bot wants one of its keywords in every message: let it ask for a signature instead, or use the keyword in the rule's title"), true
	case "19001": // seen with a hook that does not exist; not in the vendor's list
		return final(ClassConfig, "the bot is not known at this address: set the target's url to the one the bot shows"), true
	case "9499":
		return final(ClassRefused, "the bot cannot read the message"), true
	case "11232":
		return later(ClassRate, "the bot gets too many messages", restAfter), true
	default:
		return verdict{}, false
	}
}
