package shop

import (
	"time"

	"github.com/millrace/millrace/internal/notify/notifytest"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

// The names of the world.
const (
	RepoID     = "2111000001"
	RepoPath   = "shop/orders"
	JobID      = "f0f0f0f0e1e1e1e1d2d2d2d2c3c3c3c3"
	ProjectID  = "aaaabbbbccccddddeeeeffff00001111"
	ResourceID = "cf5d89cf3c6c4c53a1e92897ccc00001"
	GroupID    = "4100001" // of the repository
)

// TeamRobot is the robot of the developers' group.
func TeamRobot() notifytest.Account {
	return notifytest.Account{Kind: notifytest.DingTalk, Token: "demo-team", Secret: "SECdemo-team-robot"}
}

// OpsRobot is the robot of the group that keeps everything running.
func OpsRobot() notifytest.Account {
	return notifytest.Account{Kind: notifytest.Feishu, Token: "demo-ops", Secret: "demo-ops-robot"}
}

// Furnish puts repository, build task and package into a fake CodeArts. The package runs out in so many days.
func Furnish(fake *codeartstest.Fake, days int) {
	fake.AddRepository(codeartstest.Repository{
		ID: RepoID, Path: RepoPath, GroupID: GroupID, ProjectID: ProjectID, Files: map[string]string{"README.md": "# orders\n"},
	})
	fake.AddJob(codeartstest.Job{ID: JobID, ProjectID: ProjectID, Name: "orders-ci", RepoID: RepoID})
	fake.AddPackage(codeartstest.Package{
		ResourceID: ResourceID, ProjectID: ProjectID, Name: "CodeArts-pro", RenewURL: "https://renew.example.com/" + ResourceID,
		Expires: fake.Now().Add(20 * 24 * time.Hour),
	})
	fake.SetPackageDays(ResourceID, days)
}
