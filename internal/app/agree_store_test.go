package app_test

import (
	"context"
	"slices"
	"strings"

	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// agreeStore is the stores of an engine, in memory.
type agreeStore struct {
	records map[string][]byte
	runs    []engine.Message
}

// takenError says that there is a record already.
type takenError struct{}

func (takenError) Error() string { return "exists" }
func (takenError) Exists() bool  { return true }

func (s *agreeStore) Create(_ context.Context, subject string, data []byte) (uint64, error) {
	if s.records[subject] != nil {
		return 0, takenError{}
	}
	s.records[subject] = data
	return 1, nil
}

func (s *agreeStore) Update(_ context.Context, subject string, data []byte, _ uint64) (uint64, error) {
	s.records[subject] = data
	return 1, nil
}

func (s *agreeStore) Get(_ context.Context, subject string) ([]byte, uint64, error) {
	if data := s.records[subject]; data != nil {
		return data, 1, nil
	}
	return nil, 0, nil
}

func (s *agreeStore) Put(_ context.Context, subject string, header map[string]string, data []byte) error {
	if strings.HasPrefix(subject, "work.run.") {
		s.runs = append(s.runs, engine.Message{Header: header, Data: data})
	}
	return nil
}

func (s *agreeStore) PublishEvent(context.Context, *events.Event) (bool, error) { return false, nil }

func (s *agreeStore) PutRuleset(context.Context, string, []byte) error             { return nil }
func (s *agreeStore) Ruleset(context.Context, string) ([]byte, error)              { return nil, nil }
func (s *agreeStore) EnsureSchedule(context.Context, string, string, string) error { return nil }

// byRule are the runs that were put, by the names of their rules.
func (s *agreeStore) byRule(names []string, eventID string) map[string]engine.Message {
	out := map[string]engine.Message{}
	for _, m := range s.runs {
		i := slices.IndexFunc(names, func(name string) bool { return rules.RunID(eventID, name) == m.Header["Millrace-Run"] })
		if i >= 0 {
			out[names[i]] = m
		}
	}
	return out
}
