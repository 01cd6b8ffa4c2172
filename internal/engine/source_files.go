package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/millrace/millrace/pkg/rules"
)

// settled is how long ago a file must have been changed for its size and time to be trusted: a
// file changed again at the same moment, to the same size, looks the same.
const settled = 3 * time.Second

// fileSource are the rule files of some paths.
type fileSource struct {
	paths []string
	live  *Live

	stats   []fileStat // of the last poll
	trusted bool       // no file was fresh at that poll, and all was read
	pending contents   // read once, waiting to be read a second time
	done    contents   // loaded, or refused for good
}

// contents is one reading of all files, by hash.
type contents struct {
	hash [sha256.Size]byte
	set  bool
}

func newFileSource(paths []string, live *Live) *fileSource {
	return &fileSource{paths: slices.Clone(paths), live: live}
}

// first offers the files without a poll before.
func (s *fileSource) first() (*offer, error) {
	files, err := s.readTwice()
	if err != nil {
		return nil, err
	}
	return s.offer(files), nil
}

// readTwice reads until two readings bring the same.
func (s *fileSource) readTwice() ([]rules.File, error) {
	before, err := ReadFiles(s.paths)
	if err != nil {
		return nil, err
	}
	for range 5 {
		files, err := ReadFiles(s.paths)
		if err != nil {
			return nil, err
		}
		if contentHash(files) == contentHash(before) {
			return files, nil
		}
		before = files
	}
	return nil, errors.New("load rules: the files change while they are read")
}

func (s *fileSource) next(_ context.Context, now time.Time) (*offer, error) {
	stats, err := statFiles(s.paths)
	if err != nil {
		s.trusted = false
		return nil, err
	}
	if s.trusted && slices.Equal(stats, s.stats) {
		return nil, nil
	}
	s.trusted = false
	files, err := readFiles(stats)
	if err != nil {
		return nil, err
	}
	s.stats = stats
	o := s.offer(files)
	switch o.read {
	case s.done:
		s.pending = contents{}
		s.trusted = old(stats, now)
		return nil, nil
	case s.pending:
		return o, nil
	}
	s.pending = o.read
	return nil, nil
}

func (s *fileSource) handled(o *offer) { s.done, s.pending = o.read, contents{} }

func (s *fileSource) offer(files []rules.File) *offer {
	return &offer{read: contents{contentHash(files), true}, compile: func(ctx context.Context) (*rules.Ruleset, rules.Problems, error) {
		rs, problems := rules.Compile(files, s.live.catalogue)
		if problems.HasErrors() {
			return nil, nil, problems
		}
		return rs, problems, StoreRuleset(ctx, s.live.store, rs)
	}}
}

// old tells whether no file was changed so lately that it may change again unnoticed.
func old(stats []fileStat, now time.Time) bool {
	return !slices.ContainsFunc(stats, func(s fileStat) bool { return now.Sub(s.modified) < settled })
}
