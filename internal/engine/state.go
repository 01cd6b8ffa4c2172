package engine

import (
	"encoding/json"

	"github.com/millrace/millrace/pkg/rules"
)

// state is what a parked run carries: until when each fact is awaited. The stream keeps 1 KiB at
// most, so it is short.
type state struct {
	V         int             `json:"v"`
	Deadlines rules.Deadlines `json:"until"`
}

// readState reads what state.String wrote. What cannot be read starts anew: the deadlines move,
// nothing is lost.
func readState(text string) state {
	var s state
	if text == "" || json.Unmarshal([]byte(text), &s) != nil || s.V != rules.FormatVersion {
		s = state{V: rules.FormatVersion}
	}
	if s.Deadlines == nil {
		s.Deadlines = make(rules.Deadlines)
	}
	return s
}

// String is the state as text.
func (s state) String() string {
	data, err := json.Marshal(s)
	if err != nil {
		panic("engine: a struct of numbers did not marshal: " + err.Error())
	}
	return string(data)
}
