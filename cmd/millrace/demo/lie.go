package demo

import (
	"encoding/json"
	"net/http"
	"strings"
)

// lyingCodeArts says of every commit that it was made, and makes none. Millrace then believes to have succeeded; only who looks
// at the repository can tell.
type lyingCodeArts struct{ http.Handler }

func (l lyingCodeArts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/repository/commits") {
		l.Handler.ServeHTTP(w, r)
		return
	}
	id := strings.Repeat("0badc0de", 5)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"status": "success", "error": nil, "result": map[string]any{"id": id, "short_id": id[:8], "title": "made up", "parent_ids": []string{}},
	})
}
