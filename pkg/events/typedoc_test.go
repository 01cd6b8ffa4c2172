package events

import "testing"

// TestTypeDocs: every type says when it comes, and nothing else does.
func TestTypeDocs(t *testing.T) {
	for _, kind := range Types() {
		if TypeDoc(kind) == "" {
			t.Errorf("say in typeDocs when %s comes", kind)
		}
	}
	if len(typeDocs) != len(known) || TypeDoc("unknown.wiki") != "" {
		t.Errorf("%d docs of %d types", len(typeDocs), len(known))
	}
}
