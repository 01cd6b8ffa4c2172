//go:build !torture

package app

import (
	"github.com/millrace/millrace/internal/effects"
	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/internal/ingest"
)

// Here the torture run takes hold of a mechanism to break it on purpose (broken.go). A build without the tag "torture" has nothing of that.

func wholeEngineRecords(r engine.Records) engine.Records   { return r }
func wholeEffectRecords(r effects.Records) effects.Records { return r }
func wholeRepo(r effects.Repo) effects.Repo                { return r }

func wholeJournal(j ingest.Publisher, _ *broker) ingest.Publisher { return j }
