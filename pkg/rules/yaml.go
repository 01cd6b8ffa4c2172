package rules

import (
	"slices"

	"go.yaml.in/yaml/v3"
)

// ReadYAML parses a file as rule files are: one document in UTF-8 of at most MaxFile bytes, no aliases, no tags, nothing nested too
// deep. It gives the root, nil when the file is empty or was refused, and all that is wrong.
func ReadYAML(f File) (*yaml.Node, Problems) {
	var problems Problems
	s := &source{name: f.Name, data: f.Data, problems: &problems}
	root := s.document()
	if isNull(root) {
		root = nil
	}
	problems.sort()
	return root, problems
}

// Join puts problems together, sorted as those of Compile are.
func (ps Problems) Join(more ...Problem) Problems {
	all := slices.Concat(ps, more)
	all.sort()
	return all
}
