package notifytest

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Kinds of account.
const (
	DingTalk = "dingtalk"
	Feishu   = "feishu"
	Webhook  = "webhook"
)

// maxBody is how much of a request is read, more than any product takes.
const maxBody = 1 << 20

// Account is one robot or receiver.
type Account struct {
	Kind   string
	Token  string // the access_token of DingTalk, the last part of the address of the others
	Secret string // "" takes unsigned messages
}

// URL is the account's address on the server at base, as in http://127.0.0.1:1234.
func (a Account) URL(base string) string {
	switch a.Kind {
	case DingTalk:
		return base + "/robot/send?access_token=" + a.Token
	case Feishu:
		return base + "/open-apis/bot/v2/hook/" + a.Token
	default:
		return base + "/webhook/" + a.Token
	}
}

// Message is one message an account took.
type Message struct {
	Kind  string          `json:"kind"`
	Token string          `json:"token"`
	ID    string          `json:"id,omitempty"` // of a webhook
	Title string          `json:"title"`
	Text  string          `json:"text"` // the markdown
	Link  string          `json:"link,omitempty"`
	At    time.Time       `json:"at"` // when it came
	Body  json.RawMessage `json:"body"`
}

// Answer is what to say instead of looking at a message.
type Answer struct {
	Status int // 0: 200
	Header map[string]string
	Body   string
}

// Robots is the server. It is safe for concurrent use.
type Robots struct {
	now      func() time.Time
	accounts []Account

	mu       sync.Mutex
	messages []Message
	refused  int
	answers  map[string][]Answer // by kind, used from the front
}

// New returns a server with these accounts. now is the clock that signatures are checked by, nil for the system's.
func New(now func() time.Time, accounts ...Account) *Robots {
	if now == nil {
		now = time.Now
	}
	return &Robots{now: now, accounts: accounts, answers: map[string][]Answer{}}
}

// Messages returns what was taken so far, in the order it came.
func (r *Robots) Messages() []Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.messages)
}

// Refused returns how many requests were not taken, told answers included.
func (r *Robots) Refused() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused
}

// Answer queues answers: the next requests to accounts of the kind get one each and are not taken.
func (r *Robots) Answer(kind string, answers ...Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers[kind] = append(r.answers[kind], answers...)
}

// ServeHTTP serves the accounts' addresses and GET /_fake/messages.
func (r *Robots) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path == "/_fake/messages" {
		r.list(w, req)
		return
	}
	kind, token := route(req)
	if kind == "" || req.Method != http.MethodPost {
		http.NotFound(w, req)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
	if err != nil {
		http.Error(w, "the body cannot be read", http.StatusRequestEntityTooLarge)
		return
	}
	a, told := r.told(kind)
	if !told {
		a = r.receive(kind, token, req, body)
	}
	for name, value := range a.Header {
		w.Header().Set(name, value)
	}
	if a.Status == 0 {
		a.Status = http.StatusOK
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(a.Status)
	io.WriteString(w, a.Body) //nolint:errcheck // the client is gone, and that is its business
}

func route(req *http.Request) (kind, token string) {
	if req.URL.Path == "/robot/send" {
		return DingTalk, req.URL.Query().Get("access_token")
	}
	if token, ok := strings.CutPrefix(req.URL.Path, "/open-apis/bot/v2/hook/"); ok {
		return Feishu, token
	}
	if token, ok := strings.CutPrefix(req.URL.Path, "/webhook/"); ok {
		return Webhook, token
	}
	return "", ""
}

func (r *Robots) list(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodGet {
		http.Error(w, "GET only", http.StatusMethodNotAllowed)
		return
	}
	messages := r.Messages()
	if messages == nil {
		messages = []Message{}
	}
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.Encode(messages) //nolint:errcheck // the client is gone, and that is its business
}

func (r *Robots) told(kind string) (Answer, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	queue := r.answers[kind]
	if len(queue) == 0 {
		return Answer{}, false
	}
	r.answers[kind] = queue[1:]
	r.refused++
	return queue[0], true
}

// receive looks at a message as the product would, and remembers it if it is right.
func (r *Robots) receive(kind, token string, req *http.Request, body []byte) Answer {
	i := slices.IndexFunc(r.accounts, func(a Account) bool { return a.Kind == kind && a.Token == token })
	var account *Account
	if i >= 0 {
		account = &r.accounts[i]
	}
	var m *Message
	var a Answer
	switch kind {
	case DingTalk:
		m, a = dingTalk(account, req, body, r.now())
	case Feishu:
		m, a = feishu(account, body, r.now())
	default:
		m, a = webhook(account, req, body, r.now())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if m == nil {
		r.refused++
		return a
	}
	m.Kind, m.Token, m.At, m.Body = kind, token, r.now().UTC(), slices.Clone(body)
	r.messages = append(r.messages, *m)
	return a
}
