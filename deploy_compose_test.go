package millrace_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/pkg/rules"
)

// composeFile is what the tests look at in docker-compose.yml.
type composeFile struct {
	Services map[string]struct {
		User        string
		ReadOnly    bool     `yaml:"read_only"`
		CapDrop     []string `yaml:"cap_drop"`
		SecurityOpt []string `yaml:"security_opt"`
		Privileged  bool
		Profiles    []string
		Ports       []string
		Networks    []string
		Volumes     []string
		Build       struct{ Target string }
		Healthcheck struct{ Test []string }
		Grace       time.Duration `yaml:"stop_grace_period"`
	}
	Networks map[string]struct{ Internal bool }
}

func readCompose(t *testing.T) composeFile {
	t.Helper()
	data, err := os.ReadFile("docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	var c composeFile
	if err := yaml.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestComposeIsHardened: every service runs without rights, is asked for its health, and what is published is on loopback.
func TestComposeIsHardened(t *testing.T) {
	c := readCompose(t)
	if len(c.Services) != 4 || !c.Networks["broker"].Internal {
		t.Fatalf("services %d, networks %v", len(c.Services), c.Networks)
	}
	dockerfile, err := os.ReadFile("deploy/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range c.Services {
		if s.Grace < longestStop(t) {
			t.Errorf("%s is killed after %s, and stopping may take %s", name, s.Grace, longestStop(t))
		}
		if s.User != "65532:65532" || !s.ReadOnly || s.Privileged || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) {
			t.Errorf("%s is not hardened: %+v", name, s)
		}
		if len(s.Healthcheck.Test) < 3 || s.Healthcheck.Test[0] != "CMD" {
			t.Errorf("%s: health check %q; there is no shell", name, s.Healthcheck.Test)
		}
		if !strings.Contains(string(dockerfile), " AS "+s.Build.Target+"\n") {
			t.Errorf("%s: deploy/Dockerfile has no target %q", name, s.Build.Target)
		}
		for _, port := range s.Ports {
			if !regexp.MustCompile(`^\$\{MILLRACE_PUBLISH[A-Z_]*:-127\.0\.0\.1:\d+\}:\d+$`).MatchString(port) {
				t.Errorf("%s publishes %s", name, port)
			}
		}
		for _, v := range s.Volumes {
			if !strings.HasSuffix(v, ":ro") && v != "nats:/data" && v != "journal:/var/lib/millrace" {
				t.Errorf("%s may write to %s", name, v)
			}
		}
		if demo := slices.Equal(s.Profiles, []string{"demo"}); demo != (name == "codearts") {
			t.Errorf("%s: profiles %q", name, s.Profiles)
		}
	}
	if nats := c.Services["nats"]; !slices.Equal(nats.Networks, []string{"broker"}) || len(nats.Ports) != 0 {
		t.Errorf("nats can be reached from %q and at %q", nats.Networks, nats.Ports)
	}
}

// TestComposeVariables: what docker-compose.yml takes from the environment is explained in .env.example, and nothing else is.
func TestComposeVariables(t *testing.T) {
	compose, err := os.ReadFile("docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile(".env.example")
	if err != nil {
		t.Fatal(err)
	}
	var taken, explained []string
	for _, m := range regexp.MustCompile(`\$\{([A-Z_]+)`).FindAllStringSubmatch(string(compose), -1) {
		taken = append(taken, m[1])
	}
	for _, m := range regexp.MustCompile(`(?m)^#([A-Z_]+)=`).FindAllStringSubmatch(string(example), -1) {
		explained = append(explained, m[1])
	}
	slices.Sort(taken)
	slices.Sort(explained)
	if taken = slices.Compact(taken); !slices.Equal(taken, explained) {
		t.Errorf("docker-compose.yml takes %q, .env.example explains %q", taken, explained)
	}
}

// TestComposeConfiguration: the demo's configuration and secrets are enough for both servers, and its rules compile.
func TestComposeConfiguration(t *testing.T) {
	env, err := os.ReadFile("deploy/compose/demo.env")
	if err != nil {
		t.Fatal(err)
	}
	var environ []string
	for line := range strings.Lines(string(env)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			environ = append(environ, line)
		}
	}
	cfg, err := config.Load("deploy/compose/millrace.yaml", environ)
	if err != nil {
		t.Fatal(err)
	}
	if err := cfg.CheckReceiver(); err != nil {
		t.Error(err)
	}
	if err := cfg.CheckWorker(); err != nil {
		t.Error(err)
	}
	var files []rules.File
	for _, name := range []string{"builds.yaml", "packages.yaml"} {
		data, err := os.ReadFile("deploy/compose/rules/" + name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, rules.File{Name: name, Data: data})
	}
	set, problems := rules.Compile(files, app.Catalogue(cfg))
	if set == nil || len(problems) > 0 {
		t.Fatalf("%v", problems)
	}
}
