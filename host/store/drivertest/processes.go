package drivertest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
)

var processCases = []testCase{
	{"two that migrate at once apply each step once", processesMigrate},
	{"two that make one tenant at once make it once", processesCreate},
	{"two that count lose nothing", processesCount},
	{"one killed halfway leaves nothing half-done", processKilled},
}

// The variables that make the test binary a child, and say what it does where.
const (
	roleVar   = "CALLBOARD_STORETEST_ROLE"
	placeVar  = "CALLBOARD_STORETEST_PLACE"
	tenantVar = "CALLBOARD_STORETEST_TENANT"
)

// roles are what a child can be told to do.
var roles = map[string]func(ctx context.Context, db *store.DB, id host.TenantID) error{
	"migrate": func(ctx context.Context, db *store.DB, _ host.TenantID) error {
		return db.Migrate(ctx, func(p store.Progress) { fmt.Println("progress", p.Migration) })
	},
	"create": func(ctx context.Context, db *store.DB, id host.TenantID) error {
		return db.CreateTenant(ctx, id)
	},
	"count": func(ctx context.Context, db *store.DB, id host.TenantID) error {
		tn, err := db.Tenant(id)
		for i := 0; err == nil && i < turns; i++ {
			err = tn.Write(ctx, increment("step1"))
		}
		return err
	},
}

// turns is how often each counting process counts.
const turns = 100

// Main runs the tests, or what a parent process asked this one to do.
func (h Harness) Main(m *testing.M) int {
	role, ok := roles[os.Getenv(roleVar)]
	if !ok {
		return m.Run()
	}
	if err := h.child(role); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// child opens the store, says so, waits for the word and plays its role.
func (h Harness) child(role func(context.Context, *store.DB, host.TenantID) error) error {
	drv, err := h.Driver(os.Getenv(placeVar))
	if err != nil {
		return err
	}
	ctx := context.Background()
	db, err := store.Open(ctx, drv, store.Settings{Migrations: os.DirFS(os.Getenv("CALLBOARD_STORETEST_FILES"))})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	if err := role(ctx, db, host.TenantID(os.Getenv(tenantVar))); err != nil {
		return err
	}
	return db.Close()
}

// process is a running child.
type process struct {
	cmd   *exec.Cmd
	in    io.Writer
	lines *bufio.Scanner
	err   strings.Builder
}

// spawn starts a child and waits until it is ready.
func spawn(t *testing.T, role, place, files string, id host.TenantID) *process {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	p := &process{cmd: exec.Command(exe)}
	p.cmd.Env = append(os.Environ(), roleVar+"="+role, placeVar+"="+place, tenantVar+"="+string(id), "CALLBOARD_STORETEST_FILES="+files)
	p.cmd.Stderr = &p.err
	p.in, err = p.cmd.StdinPipe()
	must(t, err)
	out, err := p.cmd.StdoutPipe()
	must(t, err)
	p.lines = bufio.NewScanner(out)
	must(t, p.cmd.Start())
	t.Cleanup(func() { _ = p.cmd.Process.Kill() }) // an error says that it has ended
	p.expect(t, "ready")
	return p
}

func (p *process) expect(t *testing.T, line string) {
	t.Helper()
	if !p.lines.Scan() || p.lines.Text() != line {
		t.Fatalf("the child said %q, want %q; %v", p.lines.Text(), line, p.err.String())
	}
}

func (p *process) start(t *testing.T) {
	t.Helper()
	_, err := io.WriteString(p.in, "go\n")
	must(t, err)
}

// end waits for the child and returns what else it said.
func (p *process) end(t *testing.T) []string {
	t.Helper()
	var lines []string
	for p.lines.Scan() {
		lines = append(lines, p.lines.Text())
	}
	if err := p.cmd.Wait(); err != nil {
		t.Fatalf("the child failed: %v: %s", err, p.err.String())
	}
	return lines
}

// both runs two children of a role at the same moment.
func both(t *testing.T, role, place, files string, id host.TenantID) (lines []string) {
	t.Helper()
	a, b := spawn(t, role, place, files, id), spawn(t, role, place, files, id)
	a.start(t)
	b.start(t)
	return append(a.end(t), b.end(t)...)
}

// onDisk writes migrations where children can read them.
func onDisk(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.CopyFS(dir, set(files)))
	return dir
}

func processesMigrate(t *testing.T, h Harness) {
	place := h.Place(t)
	applied := make(map[string]int)
	for _, line := range both(t, "migrate", place, onDisk(t, steps(8)), "") {
		applied[strings.TrimPrefix(line, "progress ")]++
	}
	for i := 1; i <= 8; i++ {
		if name := fmt.Sprintf("%04d_step", i); applied[name] != 1 {
			t.Errorf("%s was applied %d times", name, applied[name])
		}
	}
	db, _ := h.migrated(t, place, set(steps(8)))
	if n := count(t, db.Control(), "step8"); n != 1 {
		t.Errorf("the last step ran %d times", n)
	}
}

func processesCreate(t *testing.T, h Harness) {
	place, id := h.Place(t), host.NewTenantID()
	both(t, "create", place, onDisk(t, steps(3)), id)
	db := h.openAt(t, place, store.Settings{Migrations: set(steps(3))})
	if n := count(t, handle(t, db, id), "step3"); n != 1 {
		t.Errorf("the last step ran %d times", n)
	}
}

func processesCount(t *testing.T, h Harness) {
	place := h.Place(t)
	files := steps(1)
	files["tenant/0002_count.sql"] = "ALTER TABLE step1 ADD COLUMN count BIGINT NOT NULL DEFAULT 0;"
	db, _ := h.migrated(t, place, set(files))
	tn := tenant(t, db)
	both(t, "count", place, onDisk(t, files), tn.ID())
	if n := counted(t, tn, "step1"); n != 2*turns {
		t.Errorf("two processes counted to %d, want %d", n, 2*turns)
	}
}

// slow takes far longer than any test, on both databases.
const slow = `CREATE TABLE half (n BIGINT);
INSERT INTO half WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 2000000000) SELECT count(*) FROM c;`

func processKilled(t *testing.T, h Harness) {
	place := h.Place(t)
	files := steps(1)
	files["control/0002_half.sql"] = slow
	p := spawn(t, "migrate", place, onDisk(t, files), "")
	p.start(t)
	p.expect(t, "progress 0001_step")

	// The child is in the middle of the step as soon as nobody else can write.
	files["control/0002_half.sql"] = "CREATE TABLE half (n BIGINT);\nINSERT INTO half VALUES (7);"
	db := h.openAt(t, place, store.Settings{Migrations: set(files)})
	until(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		return db.Control().Write(ctx, func(context.Context, store.Querier) error { return nil }) != nil
	})
	must(t, p.cmd.Process.Kill())
	_ = p.cmd.Wait() // killed, as it should be

	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	must(t, db.Migrate(ctx, nil))
	if n := count(t, db.Control(), "half"); n != 1 {
		t.Errorf("after the restart the killed step's table holds %d rows, want 1", n)
	}
}

// until waits for a condition.
func until(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(wait); !done(); {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen in time")
		}
	}
}
