package millrace_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/config"
)

// exposure is the most that systemd-analyze security may say of a unit, in tenths; up to 20 it calls "OK".
const exposure = "20"

var units = map[string]string{"deploy/millrace-receiver.service": "/usr/local/bin/millrace-receiver", "deploy/millrace-worker.service": "/usr/local/bin/millrace-worker"}

// longestStop is how long a server with the default settings may take to stop, with something to spare.
func longestStop(t *testing.T) time.Duration {
	t.Helper()
	cfg, err := config.LoadSealed("", nil)
	if err != nil {
		t.Fatal(err)
	}
	return max(cfg.Receiver.Drain, cfg.Worker.Drain) + 10*time.Second
}

// settingsOf reads a unit: its settings with all their values, by section and name.
func settingsOf(t *testing.T, path string) map[string][]string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all, section := map[string][]string{}, ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.HasPrefix(line, "[") {
			section = strings.Trim(line, "[]") + "."
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || section == "" {
			t.Errorf("%s: %q is no setting", path, line)
		}
		all[section+name] = append(all[section+name], value)
	}
	return all
}

// TestUnits: the units start what is documented, come back whatever happens, may do next to nothing, and hand over every secret the
// example names.
func TestUnits(t *testing.T) {
	example, err := os.ReadFile(exampleConfig)
	if err != nil {
		t.Fatal(err)
	}
	var credentials []string
	for _, name := range credentialsOf(example) {
		credentials = append(credentials, name+":/etc/millrace/credentials/"+name)
	}
	if len(credentials) == 0 {
		t.Fatalf("%s names no credential", exampleConfig)
	}
	for unit, binary := range units {
		have := settingsOf(t, unit)
		stop := strings.Join(have["Service.TimeoutStopSec"], " ") + "s"
		if limit, err := time.ParseDuration(stop); err != nil || limit < longestStop(t) {
			t.Errorf("%s: TimeoutStopSec is %s, and stopping may take %s", unit, stop, longestStop(t))
		}
		for name, want := range map[string]string{
			"Service.ExecStart": binary + " --config /etc/millrace/millrace.yaml",
			"Service.Restart":   "always", "Unit.StartLimitIntervalSec": "0",
			"Service.DynamicUser": "yes", "Service.NoNewPrivileges": "yes", "Service.ProtectSystem": "strict", "Service.CapabilityBoundingSet": "",
			"Install.WantedBy": "multi-user.target",
		} {
			if got := have[name]; !slices.Equal(got, []string{want}) {
				t.Errorf("%s: %s is %q, not %q", unit, name, got, want)
			}
		}
		if got := have["Service.LoadCredential"]; !slices.Equal(got, credentials) {
			t.Errorf("%s: LoadCredential is %q, and %s names %q", unit, got, exampleConfig, credentials)
		}
		for name, values := range have {
			if len(values) > 1 && name != "Service.LoadCredential" && name != "Service.SystemCallFilter" {
				t.Errorf("%s: %s is there %d times", unit, name, len(values))
			}
		}
	}
}

// TestUnitsBySystemd has systemd itself read the units, where there is one.
func TestUnitsBySystemd(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil && os.Getenv("CI") != "" {
		t.Fatal("systemd-analyze is not here, and CI never skips")
	}
	if err != nil {
		t.Skip("systemd-analyze is not here; TestUnits reads the units all the same")
	}
	for unit, binary := range units {
		data, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		// The servers are not installed here, so the unit starts this very program instead.
		path := filepath.Join(t.TempDir(), filepath.Base(unit))
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(data), "="+binary+" ", "="+os.Args[0]+" ")), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"verify", "--man=no", path}, {"security", "--offline=true", "--no-pager", "--threshold=" + exposure, path}} {
			out, err := exec.CommandContext(t.Context(), analyze, args...).CombinedOutput()
			if err != nil || (args[0] == "verify" && len(out) > 0) {
				t.Errorf("%s: systemd-analyze %s: %v\n%s", unit, args[0], err, out)
			}
		}
	}
}
