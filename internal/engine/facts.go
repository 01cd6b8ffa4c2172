package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/rules"
)

const (
	// DefaultFactTimeout bounds one call of a fact, which may take several requests.
	DefaultFactTimeout = 60 * time.Second
	// MaxFact is the size in bytes of the largest fact, as JSON.
	MaxFact = 4 << 20
)

// Facts fetches facts from CodeArts. It may be used by any number of goroutines, and it changes
// nothing there.
type Facts struct {
	clients map[string]*codearts.Client
	timeout time.Duration
}

// NewFacts makes a Facts of clients by the name of their connection; "" is the default one.
// timeout bounds one call, 0 is DefaultFactTimeout.
func NewFacts(clients map[string]*codearts.Client, timeout time.Duration) *Facts {
	if timeout <= 0 {
		timeout = DefaultFactTimeout
	}
	return &Facts{clients: maps.Clone(clients), timeout: timeout}
}

// Fetch carries out one call. What may be secret is redacted in what it returns. A failure wraps
// the client's, so it can be asked whether to try again; a *codearts.NotReadyError says that there
// is none yet.
func (f *Facts) Fetch(ctx context.Context, call rules.Call, since time.Time) (json.RawMessage, error) {
	client, err := f.client(call.Connection)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	args := call.Args
	if _, given := args[codearts.ArgSince]; call.Kind == codearts.OpBuildOfCommit && !given && !since.IsZero() {
		args = maps.Clone(args)
		args[codearts.ArgSince] = since
	}
	value, err := client.Call(ctx, call.Kind, args)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", describeCall(call), err)
	}
	data, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("%s: encode the answer: %w", describeCall(call), err)
	}
	if len(data) > MaxFact {
		return nil, sizeError(describeCall(call), len(data), MaxFact)
	}
	return data, nil
}

// LastCommit implements [Fence].
func (f *Facts) LastCommit(ctx context.Context, connection, repoID, ref, path string) (id string, found bool, err error) {
	client, err := f.client(connection)
	if err != nil {
		return "", false, err
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	file, err := client.File(ctx, repoID, path, ref)
	switch {
	case noSuchFile(err):
		return "", false, nil
	case err != nil:
		return "", false, err
	case file.LastCommitID == nil:
		return "", true, nil
	}
	return *file.LastCommitID, true, nil
}

// noSuchFile tells a missing file, or branch, from other things that may be missing.
func noSuchFile(err error) bool {
	var api *codearts.APIError
	if !errors.Is(err, codearts.ErrNotFound) || !errors.As(err, &api) {
		return false
	}
	for _, other := range [...]string{"CH.010117", "APIGW."} { // the repository; the API itself
		if strings.HasPrefix(api.Code, other) {
			return false
		}
	}
	return true
}

func (f *Facts) client(connection string) (*codearts.Client, error) {
	if c := f.clients[connection]; c != nil {
		return c, nil
	}
	if connection == "" {
		return nil, evaluationError(errors.New("no connection to CodeArts is configured"))
	}
	return nil, evaluationError(fmt.Errorf("there is no connection %q to CodeArts", connection))
}

// describeCall names a call and its arguments for an error.
func describeCall(call rules.Call) string {
	var b strings.Builder
	b.WriteString(call.Kind)
	for _, name := range slices.Sorted(maps.Keys(call.Args)) {
		text := fmt.Sprint(call.Args[name])
		if len(text) > 80 {
			text = strings.ToValidUTF8(text[:80], "") + "…"
		}
		fmt.Fprintf(&b, " %s=%q", name, text)
	}
	return b.String()
}
