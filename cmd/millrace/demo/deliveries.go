package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/millrace/millrace/cmd/millrace/shop"
)

const (
	hookPath = "/hooks/shop"
	mrUUID   = "7_3c9d2f7e-5a51-4d0c-9b61-1f2e3d4c5b6a"
)

// mergeRequest is the body of the delivery of a merge request, as CodeArts Repo shapes it.
func mergeRequest() []byte {
	person := map[string]any{"id": 1002, "name": "Wang Fang", "username": "wangfang", "email": "wangfang@example.com"}
	body, _ := json.Marshal(map[string]any{
		"object_kind": "merge_request", "event_type": "merge_request", "uuid": mrUUID,
		"user": person, "git_branch": "feature/discounts", "git_commit_no": "", "manual_build": false,
		"project": map[string]any{
			"id": 2111000001, "name": "orders", "path_with_namespace": shop.RepoPath, "default_branch": "main",
			"web_url": "https://codearts.example.com/shop/orders", "visibility_level": 0,
		},
		"object_attributes": map[string]any{
			"id": 501, "iid": 7, "title": "Discounts for regular customers", "description": "", "state": "opened", "action": "open",
			"source_branch": "feature/discounts", "target_branch": "main", "merge_status": "unchecked", "assignee_id": nil,
			"url":         "https://codearts.example.com/shop/orders/merge_requests/7",
			"last_commit": map[string]any{"id": "0d1c2b3a49586776655443322110ffeeddccbbaa", "message": "count discounts", "author": person},
		},
	})
	return body
}

// probe is a delivery of a kind that nobody knows.
func probe() []byte {
	return []byte(`{"object_kind":"demo_probe","uuid":"5f0e9a52-7be0-4d8f-a233-c2b7d6f463a1"}`)
}

// answer is what the receiver said to a delivery.
type answer struct {
	status  int
	EventID string `json:"event_id"`
	Status  string `json:"status"`
}

// deliver posts a delivery as CodeArts Repo does.
func (s *stage) deliver(ctx context.Context, body []byte, token, kind string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.receiver+hookPath, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Repo-Token", token)
	req.Header.Set("X-Devcloud-Event", kind)
	var a answer
	a.status, err = do(req, &a)
	return a, err
}

var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// do sends a request and decodes the answer, whatever its status.
func do(req *http.Request, into any) (status int, err error) {
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return 0, err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return 0, fmt.Errorf("answer %d of %s is not JSON: %w", resp.StatusCode, req.URL.Path, err)
	}
	return resp.StatusCode, nil
}

func get(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	status, err := do(req, into)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s answers %d", url, status)
	}
	return err
}
