package engine

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/millrace/millrace/pkg/rules"
)

// bundle is a ruleset as it is stored under its digest: the files, sorted by name, so that the
// same rules are the same bytes everywhere.
type bundle struct {
	V     int          `json:"v"`
	Files []bundleFile `json:"files"`
}

type bundleFile struct {
	Name string `json:"name"`
	Data []byte `json:"data"` // base64 in JSON: a file is kept byte by byte
}

// StoreRuleset stores a ruleset under its digest. One that is there is left as it is.
func StoreRuleset(ctx context.Context, store Rulesets, rs *rules.Ruleset) error {
	data, err := encodeBundle(rs)
	if err != nil {
		return err
	}
	if err := store.PutRuleset(ctx, rs.Digest(), data); err != nil {
		return fmt.Errorf("store ruleset %s: %w", rs.Digest(), err)
	}
	return nil
}

func encodeBundle(rs *rules.Ruleset) ([]byte, error) {
	b := bundle{V: rules.FormatVersion}
	for _, f := range rs.Files() {
		b.Files = append(b.Files, bundleFile{f.Name, f.Data})
	}
	data, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("encode ruleset %s: %w", rs.Digest(), err)
	}
	return data, nil
}

func decodeBundle(data []byte) ([]rules.File, error) {
	var b bundle
	if err := json.Unmarshal(data, &b); err != nil {
		return nil, err
	}
	if b.V != rules.FormatVersion {
		return nil, &newerError{b.V}
	}
	files := make([]rules.File, len(b.Files))
	for i, f := range b.Files {
		files[i] = rules.File{Name: f.Name, Data: f.Data}
	}
	return files, nil
}

// newerError says that a newer program stored something.
type newerError struct{ version int }

func (e *newerError) Error() string {
	return fmt.Sprintf("format version %d is not known to this program", e.version)
}
