package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRecordings is the way of a recorded call: kept on a portal, taken out by
// an admin, made again by an author with nothing connected.
func TestRecordings(t *testing.T) {
	data := t.TempDir()
	s := start(t, data)
	s.cli("tenant", "create", "acme", "--data", data)
	s.token = strings.TrimSpace(s.cli("token", "create", "--tenant", "acme", "--role", "admin", "--data", data))
	s.cli("plugin", "install", hello(t, s), "--yes")
	s.until("the plugin to be active", func() bool { return strings.Contains(s.cli("plugin", "list", "--output", "json"), `"active"`) })
	if out := s.cli("plugin", "recordings", "rule", "hello", "--sample", "1", "--keep-for", "1h", "--most", "5"); !strings.Contains(out, "1h0m0s") {
		t.Fatalf("rule: %s", out)
	}
	id := ""
	s.until("a call to be kept", func() bool {
		s.cli("api", "getGreeting", "--param", "name=Ann")
		for _, word := range strings.Fields(s.cli("plugin", "recordings", "list", "hello")) {
			if strings.HasPrefix(word, "rec") {
				id = word
			}
		}
		return id != ""
	})
	file := filepath.Join(t.TempDir(), "call.json")
	s.cli("plugin", "recordings", "export", "hello", id, "--out", file)
	if out := s.cli("plugin", "replay", file); !strings.Contains(out, "bit for bit") {
		t.Errorf("replay: %s", out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	call, outcome, ok := strings.Cut(string(text), `"result"`) // the outcome stays as recorded
	if !ok || !strings.Contains(call, "Ann") {
		t.Fatalf("the file is not the call: %.2000s", text)
	}
	altered := strings.ReplaceAll(call, "Ann", "Bob") + `"result"` + outcome
	if err := os.WriteFile(file, []byte(altered), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, errOut, code := s.try("plugin", "replay", file); code != exitFailed || !strings.Contains(out, "Bob") || !strings.Contains(errOut, "differs") {
		t.Errorf("replay of an altered call: exit %d\n%s%s", code, out, errOut)
	}
	s.cli("plugin", "recordings", "delete", "hello", "--all")
	if out := s.cli("plugin", "recordings", "list", "hello"); strings.Contains(out, id) {
		t.Errorf("after deleting all: %s", out)
	}
	if audit := s.cli("api", "listAudit"); !strings.Contains(audit, "export recording") || !strings.Contains(audit, "delete recording") {
		t.Error("the audit record does not say that a recording was taken out")
	}
}
