package app

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/internal/telemetry"
	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

// A depth of 0 in the configuration means none, and not the engine's default.
func TestDepthOfNone(t *testing.T) {
	for depth, want := range map[int]int{0: -1, 1: 1, 3: 3} {
		cfg := &config.Config{Worker: config.Worker{OwnCommitDepth: depth}}
		if got := engineLimits(cfg).ChainDepth; got != want {
			t.Errorf("own_commit_depth %d leads to %d, want %d", depth, got, want)
		}
	}
}

// One slow branch must not hold every place commits to other branches need.
func TestBusyBranchLeavesRoom(t *testing.T) {
	for commits, want := range map[int]int{1: 1, 2: 1, 4: 2, 9: 4} {
		cfg := &config.Config{Worker: config.Worker{Concurrency: config.Concurrency{Commit: commits}}}
		if got := effectSettings(cfg).BranchQueue; got != want {
			t.Errorf("of %d commits at a time %d may be to one branch, want %d", commits, got, want)
		}
	}
}

// Connections of one user share its token, and all of them the process's part of what a host may be asked.
func TestClientsShare(t *testing.T) {
	fake := codeartstest.New(codeartstest.Options{})
	server := httptest.NewServer(fake)
	defer server.Close()
	defer fake.Close()
	connection := config.CodeArts{
		BuildEndpoint: server.URL, RepoEndpoint: server.URL, IAMEndpoint: server.URL, Timeout: 100 * time.Millisecond, RepoAPI: "v2",
		User: codeartstest.User, Domain: codeartstest.Domain, Password: config.NewSecret(codeartstest.Password), Project: codeartstest.ProjectName,
	}
	all, err := clients(&config.Config{
		CodeArts: map[string]config.CodeArts{"default": connection, "other": connection},
		Worker:   config.Worker{CodeArtsRate: 1, CodeArtsBurst: 5},
	}, telemetry.NewMetrics(telemetry.Names{}))
	if err != nil {
		t.Fatal(err)
	}
	held := 0
	for i := range 50 {
		client := all[[]string{"", "other"}[i%2]]
		_, err := client.JobConfig(t.Context(), noJob)
		if errors.Is(err, codearts.ErrThrottled) && strings.Contains(err.Error(), "not sent") {
			held++
		}
	}
	for _, client := range all {
		client.CloseIdleConnections()
	}
	if n := fake.Calls(codearts.OpToken); n != 1 || held == 0 {
		t.Errorf("%d token requests for one user, %d calls held back", n, held)
	}
}

// Every way to sign in that the configuration has leads to its credentials.
func TestCredentials(t *testing.T) {
	s := config.NewSecret
	for _, row := range []struct {
		name string
		from config.CodeArts
		want string
	}{
		{"token", config.CodeArts{Token: s("t0ken")}, "codearts.StaticToken"},
		{"access key", config.CodeArts{AccessKey: "AK", SecretKey: s("sk"), SecurityToken: s("st"), ProjectID: "p"}, "codearts.AKSK AK sk st p"},
		{"user", config.CodeArts{User: "u", Region: "r", MFAUserID: "m", MFASeed: s("seed")}, "codearts.Password u r m seed"},
	} {
		got := fmt.Sprintf("%T", credentials(row.from))
		switch c := credentials(row.from).(type) {
		case codearts.AKSK:
			got += fmt.Sprint(" ", c.AccessKey, " ", c.SecretKey.Reveal(), " ", c.SecurityToken.Reveal(), " ", c.ProjectID)
		case codearts.Password:
			got += fmt.Sprint(" ", c.User, " ", c.ProjectName, " ", c.MFA.UserID, " ", c.MFA.Seed.Reveal())
		}
		if got != row.want {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
	}
}
