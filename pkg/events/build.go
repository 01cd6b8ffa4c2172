package events

import (
	"encoding/json"
	"time"
)

// NewBuild is the event of a finished build that nobody announced: Millrace found it by asking CodeArts. Its body is
// that of the template for build notifications, so it reads like one that was sent. b must name its job and its
// number, which with the source make the event's id: a build that is found twice is one event. Of r the default branch
// is not kept. at is when it was found.
func NewBuild(source string, r Repository, b Build, at time.Time) *Event {
	type project struct {
		ID     *string `json:"id,omitempty"`
		Name   *string `json:"name,omitempty"`
		Path   *string `json:"path_with_namespace,omitempty"`
		WebURL *string `json:"web_url,omitempty"`
	}
	id := value(b.JobID) + "-" + value(b.BuildNo)
	data, err := json.Marshal(struct {
		ObjectKind string  `json:"object_kind"`
		Action     string  `json:"action"`
		UUID       string  `json:"uuid"`
		Project    project `json:"project"`
		Build      Build   `json:"build"`
	}{"build", "finished", id, project{r.ID, r.Name, r.Path, r.WebURL}, b})
	if err != nil {
		panic("events: a struct of strings did not marshal: " + err.Error())
	}
	e := &Event{ID: source + "/" + id, Source: source, Type: TypeBuildFinished, Time: at.UTC(), Body: data}
	if path := value(r.Path); usablePath(path) {
		e.Repository = path
	}
	return e
}
