package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// What deploy/ promises: an image that runs as nobody from pinned bases, a
// compose file whose database is not reachable from outside, and a unit that
// gives away what the portal does not need. No container engine is needed to
// see whether that still holds.

func deployFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var pinned = regexp.MustCompile(`^[a-z0-9./-]+:[0-9]+\.[0-9]+[a-z0-9.-]*$`)

// dockerfileFaults says what is wrong with a Dockerfile.
func dockerfileFaults(text string) []string {
	var faults []string
	final := text[strings.LastIndex(text, "\nFROM ")+1:]
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) > 1 && words[0] == "FROM" && words[1] != "scratch" && !pinned.MatchString(words[1]) {
			faults = append(faults, "base not pinned: "+words[1])
		}
		if len(words) > 1 && words[0] == "ADD" {
			faults = append(faults, "ADD fetches and unpacks; use COPY")
		}
	}
	user := regexp.MustCompile(`(?m)^USER ([0-9]+):([0-9]+)$`).FindStringSubmatch(final)
	if user == nil || user[1] == "0" {
		faults = append(faults, "the final stage must run as a numeric user that is not root")
	}
	for _, want := range []string{"FROM scratch", "HEALTHCHECK", "ca-certificates.crt", "STOPSIGNAL SIGTERM", `ENTRYPOINT ["`} {
		if !strings.Contains(final, want) {
			faults = append(faults, "the final stage lacks "+want)
		}
	}
	return faults
}

type composeFile struct {
	Services map[string]struct {
		Image       string
		ReadOnly    bool     `yaml:"read_only"`
		CapDrop     []string `yaml:"cap_drop"`
		SecurityOpt []string `yaml:"security_opt"`
		Ports       []string
		Networks    []string
		Environment map[string]string
	}
	Networks map[string]struct{ Internal bool }
}

// composeFaults says what is wrong with a compose file.
func composeFaults(text string) []string {
	var c composeFile
	if err := yaml.Unmarshal([]byte(text), &c); err != nil {
		return []string{err.Error()}
	}
	var faults []string
	for name, s := range c.Services {
		if s.Image != "" && !pinned.MatchString(s.Image) {
			faults = append(faults, name+": image not pinned: "+s.Image)
		}
		if !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			faults = append(faults, name+": may gain privileges")
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				faults = append(faults, name+": port open to the network: "+p)
			}
		}
		for key, value := range s.Environment {
			if strings.Contains(key, "PASSWORD") && !strings.HasPrefix(value, "${") {
				faults = append(faults, name+": a password in the file")
			}
		}
	}
	portal, database := c.Services["portal"], c.Services["postgres"]
	if !portal.ReadOnly || !slices.Contains(portal.CapDrop, "ALL") {
		faults = append(faults, "portal: root file system or capabilities are open")
	}
	if len(database.Ports) > 0 || !slices.Equal(database.Networks, []string{"database"}) || !c.Networks["database"].Internal {
		faults = append(faults, "postgres: reachable from outside")
	}
	return faults
}

// unitFaults says what is wrong with a systemd unit.
func unitFaults(text string) []string {
	var faults []string
	for _, want := range []string{"DynamicUser=yes", "NoNewPrivileges=yes", "CapabilityBoundingSet=\n", "ProtectSystem=strict",
		"ProtectHome=yes", "PrivateTmp=yes", "PrivateDevices=yes", "SystemCallFilter=@system-service", "StateDirectoryMode=0700",
		"TimeoutStopSec=35s", "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX"} {
		if !strings.Contains(text, want) {
			faults = append(faults, "lacks "+strings.TrimSpace(want))
		}
	}
	if strings.Contains(text, "\nMemoryDenyWriteExecute=yes") {
		faults = append(faults, "MemoryDenyWriteExecute stops the plugins' compiler")
	}
	return faults
}

func TestDeploy(t *testing.T) {
	t.Parallel()
	tests := []struct {
		file   string
		faults func(string) []string
		// breaks are edits, old and new, each of which must be found.
		breaks [][2]string
	}{
		{"Dockerfile", dockerfileFaults, [][2]string{
			{"USER 65532:65532", "USER root"}, {"USER 65532:65532", "USER 0:0"},
			{"golang:1.26.8-bookworm", "golang:latest"}, {"golang:1.26.8-bookworm", "golang"},
			{"FROM scratch", "FROM debian"}, {"HEALTHCHECK", "#"}, {"COPY . .", "ADD . ."},
		}},
		{"compose.yaml", composeFaults, [][2]string{
			{"postgres:15.18-bookworm", "postgres"}, {"read_only: true", "read_only: false"}, {"cap_drop: [ALL]", "cap_drop: []"},
			{"127.0.0.1:8080:8080", "8080:8080"}, {"internal: true", "internal: false"},
			{"networks: [database]", "networks: [front]"}, {"POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?set it in deploy/compose.env}", "POSTGRES_PASSWORD: secret"},
			{`security_opt: ["no-new-privileges:true"]`, `security_opt: []`}, {"services:", "services: ]"},
		}},
		{"callboard.service", unitFaults, [][2]string{
			{"DynamicUser=yes", "User=root"}, {"ProtectSystem=strict", "ProtectSystem=no"},
			{"LockPersonality=yes", "MemoryDenyWriteExecute=yes"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			text := deployFile(t, tt.file)
			if faults := tt.faults(text); len(faults) > 0 {
				t.Fatalf("faults: %s", strings.Join(faults, "; "))
			}
			for _, b := range tt.breaks {
				broken := strings.Replace(text, b[0], b[1], 1)
				if broken == text {
					t.Errorf("the file does not hold %q", b[0])
				} else if len(tt.faults(broken)) == 0 {
					t.Errorf("nothing is wrong with %q instead of %q", b[1], b[0])
				}
			}
		})
	}
}
