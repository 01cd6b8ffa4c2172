package codearts

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
)

// OpJobHistory is the name of the operation about the changes of a task, as it stands in APIError.Op.
const OpJobHistory = "job_history"

func historyOperations() []Operation {
	return []Operation{{
		Name: OpJobHistory, Service: ServiceBuild, Method: http.MethodGet, Path: "/v1/job/{job_id}/history",
		Title: "Modification history", TitleZH: "获取修改历史", Doc: "who changed a build task, and when", Page: "ListUpdateJobHistory",
		Args: []Arg{jobIDArg, limitArg}, Result: reflect.TypeFor[[]*JobChange](), Repeat: RepeatFreely,
		call: func(ctx context.Context, c *Client, a Values) (any, error) {
			return firstItems(a, c.JobHistory(ctx, a.Text("job_id")))
		},
	}}
}

// JobChange is one change of a build task's definition, as CodeArts page ListUpdateJobHistory has it. Neither the words of update_type
// nor the unit of update_at are documented (the page's example reads as milliseconds): both are as they were sent.
type JobChange struct {
	ID           *Text   `json:"id" doc:"id of the change"`
	UpdateNumber *Int    `json:"update_number" doc:"number of the change"`
	UpdateType   *Text   `json:"update_type" doc:"kind of change, as CodeArts sent it"`
	UserID       *Text   `json:"user_id" doc:"who made it"`
	UserName     *string `json:"user_name" doc:"their name"`
	NickName     *string `json:"nick_name" doc:"their other name"`
	UpdateAt     *Int    `json:"update_at" doc:"when, as CodeArts sent it; presumably milliseconds since 1970, which is not documented"`
}

// JobHistory lists the changes of a task's definition: Modification history, 获取修改历史 (CodeArts page ListUpdateJobHistory). Pages are
// fetched as they are needed; the order is CodeArts's. An error ends the sequence.
func (c *Client) JobHistory(ctx context.Context, jobID string) iter.Seq2[*JobChange, error] {
	query := url.Values{"page_size": {strconv.Itoa(pageSize)}}
	return func(yield func(*JobChange, error) bool) {
		seen := int64(0)
		pages(c.op(OpJobHistory), func(page int) ([]*JobChange, bool, error) {
			query.Set("page_no", strconv.Itoa(page+1))
			var got *struct {
				Total   *Int         `json:"total"`
				Changes []*JobChange `json:"job_update_records"`
			}
			if err := c.do(ctx, OpJobHistory, question{path: []string{jobID}, query: query}, &got); err != nil {
				return nil, false, err
			}
			seen += int64(len(got.Changes))
			return got.Changes, got.Total == nil || seen < int64(*got.Total), nil
		}, func(a, b *JobChange) bool { return a.ID != nil && b.ID != nil && *a.ID == *b.ID })(yield)
	}
}
