package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// story is what a person reads: a line for each thing that happens, as it happens. It is also the writer of the log of receiver
// and worker, out of which most lines are made. All methods may be called by any number of goroutines.
type story struct {
	out    io.Writer
	asJSON bool
	color  bool
	begun  time.Time

	mu    sync.Mutex
	lines []line          // of the log, those that may be waited for
	told  map[string]bool // what is said once only
	more  chan struct{}   // closed and replaced at every new line
	names map[string]string
}

// line is one line of the log.
type line struct {
	Message    string    `json:"message"`
	Level      string    `json:"level"`
	EventID    string    `json:"event_id"`
	Type       string    `json:"type"`
	Rule       string    `json:"rule"`
	Rules      []string  `json:"rules"`
	Candidates int       `json:"candidates"`
	Fact       string    `json:"fact"`
	Kind       string    `json:"kind"`
	Reason     string    `json:"reason"`
	Outcome    string    `json:"outcome"`
	Commit     string    `json:"commit"`
	Branch     string    `json:"branch"`
	JobID      string    `json:"job_id"`
	BuildNo    int       `json:"build_no"`
	Target     string    `json:"target"`
	Class      string    `json:"class"`
	Status     int       `json:"status"`
	Until      time.Time `json:"until"`
	Error      string    `json:"error"`
	Problems   []string  `json:"problems"`
}

func newStory(out io.Writer, asJSON, color bool) *story {
	return &story{
		out: out, asJSON: asJSON, color: color, begun: time.Now(),
		told: make(map[string]bool), more: make(chan struct{}), names: make(map[string]string),
	}
}

// Write takes one line of the log.
func (s *story) Write(data []byte) (int, error) {
	var l line
	if json.Unmarshal(data, &l) != nil {
		return len(data), nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, l)
	close(s.more)
	s.more = make(chan struct{})
	s.logged(l)
	return len(data), nil
}

// seen tells whether a line of the log fits, and gives a channel that is closed when there are more.
func (s *story) seen(fits func(line) bool) (bool, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lines {
		if fits(l) {
			return true, nil
		}
	}
	return false, s.more
}

// count is how many lines of the log fit.
func (s *story) count(fits func(line) bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, l := range s.lines {
		if fits(l) {
			n++
		}
	}
	return n
}

// name gives an event a name that people understand.
func (s *story) name(eventID, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names[eventID] = name
}

// say tells something that is not in the log.
func (s *story) say(mark, what, text string, details ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tell(mark, what, text, nil, details...)
}

// tell prints one entry. The caller holds the lock.
func (s *story) tell(mark, what, text string, about *line, details ...string) {
	at := time.Since(s.begun)
	if s.asJSON {
		entry := map[string]any{"t": float64(at.Milliseconds()) / 1000, "what": what, "text": text}
		if len(details) > 0 {
			entry["details"] = details
		}
		if about != nil {
			for name, value := range map[string]string{
				"event_id": about.EventID, "rule": about.Rule, "fact": about.Fact, "commit": about.Commit, "outcome": about.Outcome, "reason": about.Reason,
			} {
				if value != "" {
					entry[name] = value
				}
			}
		}
		_ = json.NewEncoder(s.out).Encode(entry)
		return
	}
	fmt.Fprintf(s.out, "%s  %s %s  %s\n", s.dim(fmt.Sprintf("%5.1fs", at.Seconds())), mark, s.bold(fmt.Sprintf("%-10s", what)), text)
	for _, d := range details {
		fmt.Fprintf(s.out, "%22s%s\n", "", s.dim(d))
	}
}

func (s *story) bold(text string) string { return s.paint("1", text) }
func (s *story) dim(text string) string  { return s.paint("2", text) }

func (s *story) paint(code, text string) string {
	if !s.color || s.asJSON {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// once is true the first time it is asked with a key. The caller holds the lock.
func (s *story) once(key string) bool {
	first := !s.told[key]
	s.told[key] = true
	return first
}

// event is how people call the event of a line.
func (s *story) event(l line) string {
	if n := s.names[l.EventID]; n != "" {
		return n
	}
	if l.Type != "" {
		return l.Type
	}
	return l.EventID
}

// logged makes an entry of a line of the log, where it is worth one. The caller holds the lock.
func (s *story) logged(l line) {
	tick := strings.HasPrefix(l.EventID, "schedule/")
	switch l.Message {
	case "event accepted":
		if !tick {
			s.tell("▶", "accepted", l.Type+" — stored as "+l.EventID+", then answered 202", &l)
		} else if s.once("tick") {
			s.tell("▶", "tick", "the schedule of package-expiry, every 2 s; it is an event as any other", &l)
		}
	case "event duplicate":
		s.tell("=", "recognised", "delivered again, known already: nothing happens twice", &l)
	case "event refused":
		s.tell("✗", "refused", fmt.Sprintf("answered %d, nothing stored: %s", l.Status, l.Reason), &l)
	case "matched":
		if !tick || s.once("tick matched") {
			s.tell("·", "matched", matchedText(s.event(l), l.Rules), &l)
		}
	case "facts awaited":
		if s.once("awaited " + l.Rule + l.EventID) {
			s.tell("…", "waiting", l.Rule+" waits: "+l.Reason+"; asked again every second, parked meanwhile", &l)
		}
	case "fact fetched":
		if l.Rule == "record-failed-build" && s.once("fetched "+l.Fact+l.EventID) {
			s.tell("·", "fetched", fmt.Sprintf("%s (%s) for %s", l.Fact, l.Kind, l.Rule), &l)
		}
	case "run decided":
		s.decided(l, tick)
	case "own commit recognised":
		s.tell("↺", "our own", "commit "+short(l.Commit)+" comes back as a push and is recognised: "+l.Reason, &l)
	case "action done":
		if l.Commit != "" {
			s.tell("✎", "commit", short(l.Commit)+" on "+l.Branch+", by "+l.Rule, &l)
		}
		if l.BuildNo > 0 {
			s.tell("⚙", "build", fmt.Sprintf("number %d of task %s, by %s", l.BuildNo, l.JobID, l.Rule), &l)
		}
	case "alert recorded":
		s.tell("⏰", "alert", "a rung is reached; it is remembered before it is sent, so it is sent once", &l)
	case "message sent":
		s.tell("✉", "message", "to "+l.Target+", by "+l.Rule, &l)
	case "retried", "dead-lettered", "rules refused", "action failed":
		s.tell("!", l.Message, strings.TrimSpace(l.Rule+" "+l.Reason+" "+l.Error), &l, l.Problems...)
	}
}

func (s *story) decided(l line, tick bool) {
	switch {
	case l.Outcome == "no_match":
		s.tell("○", "no", l.Rule+" does not fire: "+l.Reason, &l)
	case tick && !s.once("tick decided"):
	case tick:
		s.tell("●", "decided", l.Rule+" reads how many days are left", &l)
	default:
		s.tell("●", "decided", l.Rule+" fires", &l)
	}
}

func matchedText(event string, rules []string) string {
	if len(rules) == 0 {
		return event + " fits no rule"
	}
	return event + " fits " + strings.Join(rules, " and ")
}

func short(commit string) string {
	if len(commit) > 8 {
		return commit[:8]
	}
	return commit
}
