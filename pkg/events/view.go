package events

import "encoding/json"

// View is an event as rules see it. The json tags are the names in rules, the doc tags
// describe them to rule authors. A nil pointer is null: the body did not say, said it with
// the wrong type, or said "", which forges write for "none".
//
// The names of the payload fields are those of the GitLab family; CodeArts Repo and
// GitCode send the same shape with additions, which are to be found under Raw.
type View struct {
	Type         string          `json:"type" doc:"kind of the event, such as push or merge_request.open"`
	ID           string          `json:"id" doc:"id of the event: source, a slash, the sender's delivery id"`
	Source       string          `json:"source" doc:"configured name of the sender"`
	Time         string          `json:"time" doc:"when the receiver accepted the event, RFC 3339 in UTC"`
	Repository   *Repository     `json:"repository" doc:"the repository (of a merge request: the target's)"`
	Branch       *string         `json:"branch" doc:"branch pushed, or source branch of a merge request, or branch built"`
	Tag          *string         `json:"tag" doc:"tag pushed or deleted, or tag built"`
	Before       *string         `json:"before" doc:"commit before the push, all zeros for a new branch or tag"`
	After        *string         `json:"after" doc:"commit after the push (all zeros: deleted), last commit of a merge request, or commit built"`
	Author       *Person         `json:"author" doc:"who caused the event"`
	Commits      []Commit        `json:"commits" doc:"commits of a push, oldest first; senders cap the list, mostly at 20"`
	TotalCommits *int64          `json:"total_commits" doc:"number of commits of the push before the sender's cap"`
	MergeRequest *MergeRequest   `json:"merge_request" doc:"the merge request, also of a note on one"`
	Note         *Note           `json:"note" doc:"the comment"`
	Build        *Build          `json:"build" doc:"the build of a build.* event"`
	Schedule     *Schedule       `json:"schedule" doc:"the schedule of a schedule.tick"`
	Chain        Chain           `json:"chain" doc:"whether and how one of our own commits caused this event"`
	Raw          json.RawMessage `json:"raw" doc:"the body as the sender wrote it"`
}

// Repository is the repository an event is about.
type Repository struct {
	ID            *string `json:"id" doc:"id of the repository at its forge, decimal digits as text"`
	Path          *string `json:"path" doc:"path with namespace, such as shop/orders"`
	Name          *string `json:"name" doc:"name without the namespace"`
	WebURL        *string `json:"web_url" doc:"address for people"`
	DefaultBranch *string `json:"default_branch" doc:"default branch"`
}

// Person is the author of an event, a commit or a build.
type Person struct {
	Name     *string `json:"name" doc:"display name"`
	Username *string `json:"username" doc:"login name"`
	Email    *string `json:"email" doc:"e-mail address; some senders mask it"`
}

// Commit is one commit named by an event.
type Commit struct {
	ID       *string  `json:"id" doc:"hash"`
	Message  *string  `json:"message" doc:"whole message"`
	Title    *string  `json:"title" doc:"first line of the message"`
	WebURL   *string  `json:"web_url" doc:"address for people"`
	Time     *string  `json:"time" doc:"time of the commit as the sender wrote it"`
	Author   *Person  `json:"author" doc:"author of the commit"`
	Added    []string `json:"added" doc:"paths added"`
	Modified []string `json:"modified" doc:"paths modified"`
	Removed  []string `json:"removed" doc:"paths removed"`
}

// MergeRequest is a merge request.
type MergeRequest struct {
	ID             *int64  `json:"id" doc:"id, unique at the forge"`
	IID            *int64  `json:"iid" doc:"number within the repository"`
	Title          *string `json:"title" doc:"title"`
	Description    *string `json:"description" doc:"description"`
	State          *string `json:"state" doc:"opened, closed, merged or locked"`
	Action         *string `json:"action" doc:"open, update, merge, close, reopen, …, as the sender wrote it"`
	WebURL         *string `json:"web_url" doc:"address for people"`
	SourceBranch   *string `json:"source_branch" doc:"branch to be merged"`
	TargetBranch   *string `json:"target_branch" doc:"branch to merge into"`
	MergeCommitSHA *string `json:"merge_commit_sha" doc:"commit made by the merge"`
	LastCommit     *Commit `json:"last_commit" doc:"last commit of the source branch"`
}

// Note is a comment.
type Note struct {
	ID       *int64  `json:"id" doc:"id of the comment"`
	Text     *string `json:"text" doc:"the comment itself"`
	Kind     *string `json:"kind" doc:"what was commented: commit, merge_request, issue or snippet"`
	Action   *string `json:"action" doc:"create or update"`
	WebURL   *string `json:"web_url" doc:"address for people"`
	CommitID *string `json:"commit_id" doc:"commit commented"`
	System   *bool   `json:"system" doc:"written by the forge itself"`
}

// Build is what is known of a build: what Millrace's own template for build notifications says, or, of one that was
// found by asking CodeArts for it, what its record says. The fields that are named like those of a record are theirs.
type Build struct {
	ProjectID     *string `json:"project_id" doc:"CodeArts project of the build job"`
	JobID         *string `json:"job_id" doc:"id of the build job"`
	JobName       *string `json:"job_name" doc:"name of the build job"`
	BuildNo       *string `json:"build_no" doc:"number of the build"`
	DailyBuildNum *string `json:"daily_build_num" doc:"number with the day, like 20260401.3"`
	BuildRecordID *string `json:"build_record_id" doc:"id of the build, for its log"`
	Outcome       *string `json:"outcome" values:"succeeded failed canceled queued running unknown" doc:"succeeded, failed, canceled, queued, running or unknown"`
	Status        *string `json:"status" doc:"the outcome as the sender wrote it"`
	ErrMsg        *string `json:"err_msg" doc:"why it failed"`
	TriggerType   *string `json:"trigger_type" doc:"what started it, like MANUAL"`
	Branch        *string `json:"branch" doc:"branch built"`
	Tag           *string `json:"tag" doc:"tag built"`
	Commit        *string `json:"commit" doc:"commit built"`
	CommitMessage *string `json:"commit_message" doc:"message of that commit"`
	WebURL        *string `json:"web_url" doc:"address for people"`
	Started       *string `json:"started" doc:"start time as the sender wrote it"`
	Finished      *string `json:"finished" doc:"finish time as the sender wrote it"`
	Duration      *int64  `json:"duration" doc:"how long it took, milliseconds"`
}

// Schedule is the schedule behind a schedule.tick.
type Schedule struct {
	ID       *string `json:"id" doc:"hash of pattern and time zone"`
	Pattern  *string `json:"pattern" doc:"the pattern: cron with seconds, @every or @at"`
	TimeZone *string `json:"time_zone" doc:"time zone of the pattern, empty for UTC"`
	Due      *string `json:"due" doc:"when the tick was due, RFC 3339 in UTC"`
}

// Chain says whether an event was caused by one of Millrace's own commits. Its zero
// value means that it was not. The engine fills it; no body can.
type Chain struct {
	Depth  int    `json:"depth" doc:"number of our own commits between the first event and this one; 0: not ours"`
	Origin string `json:"origin" doc:"id of the first event of the chain"`
	Action string `json:"action" doc:"key of the action whose commit caused this event"`
}
