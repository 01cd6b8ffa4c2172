package events

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestNewBuild: what was found reads like what is sent, and the same build is the same event.
func TestNewBuild(t *testing.T) {
	at := time.Date(2026, 11, 20, 10, 2, 0, 0, time.FixedZone("", 3600))
	r := Repository{ID: new("2111222"), Path: new("shop/orders"), Name: new("orders"), WebURL: new("https://codearts.example/shop/orders")}
	b := Build{
		JobID: new("f0e1"), BuildNo: new("17"), Status: new("ERROR"), Commit: new("9f8e"), CommitMessage: new("a <b> & \"c\""),
		Branch: new("main"), Tag: new("v1"), Duration: new(int64(1500)), Finished: new("2026-11-20T10:01:40.000+00:00"),
	}
	e := NewBuild("builds", r, b, at)
	if e.ID != "builds/f0e1-17" || e.Source != "builds" || e.Type != "build.finished" || e.Repository != "shop/orders" ||
		!e.Time.Equal(at) || e.Time.Location() != time.UTC {
		t.Errorf("event %+v", e)
	}
	scanned, err := Scan(e.Body, "")
	if err != nil || scanned != (Scanned{Type: e.Type, DeliveryID: "f0e1-17", Repository: "shop/orders"}) {
		t.Errorf("scanned %+v, %v", scanned, err)
	}
	v, err := Decode(e)
	if err != nil {
		t.Fatal(err)
	}
	b.Outcome = new("failed")
	if diff := cmp.Diff(&b, v.Build); diff != "" {
		t.Errorf("build (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(&r, v.Repository); diff != "" {
		t.Errorf("repository (-want +got):\n%s", diff)
	}
	if value(v.Branch) != "main" || value(v.Tag) != "v1" || value(v.After) != "9f8e" {
		t.Errorf("branch %v, tag %v, after %v", v.Branch, v.Tag, v.After)
	}
	if id, message := v.Head(); id != "9f8e" || message != *b.CommitMessage {
		t.Errorf("head %q, %q", id, message)
	}
	if again := NewBuild("builds", r, b, at.Add(time.Hour)); again.ID != e.ID {
		t.Errorf("found again it is %s", again.ID)
	}
}

// TestNewBuildOfLittle has no more than it must have; a path that is none is no attribute.
func TestNewBuildOfLittle(t *testing.T) {
	e := NewBuild("builds", Repository{Path: new("a\nb")}, Build{JobID: new("j"), BuildNo: new("1")}, time.Unix(0, 0))
	if e.Repository != "" || !json.Valid(e.Body) {
		t.Errorf("event %+v with %s", e, e.Body)
	}
	v, err := Decode(e)
	if err != nil || v.Repository != nil || v.Build == nil || v.Build.Outcome != nil {
		t.Errorf("read as %+v, %v", v, err)
	}
	if id, _ := v.Head(); id != "" {
		t.Errorf("head %q", id)
	}
}
