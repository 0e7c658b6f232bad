package postgrestest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/callboard-dev/callboard/host"
)

const (
	superuser = "postgres"
	owner     = "callboard"
	// startTime is how long a server may take to start on a busy machine.
	startTime = time.Minute
)

// server is a running PostgreSQL.
type server struct {
	port     int
	password string
	// alive is the watcher's standard input: it closes when this process ends.
	alive io.Closer
}

// start makes a cluster in a directory of its own and starts it.
func start() (*server, error) {
	bin, err := find()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "callboard-postgres-*")
	if err != nil {
		return nil, err
	}
	as, err := credential(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s := &server{password: host.NewID("p")}
	if err := s.initdb(bin, dir, as); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := s.watch(bin, dir, as); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, s.ready(dir)
}

// find returns the directory of PostgreSQL's programs: the newest that Debian
// installed, or that of the search path.
func find() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		slices.SortFunc(found, func(a, b string) int { return version(a) - version(b) })
		return filepath.Dir(found[len(found)-1]), nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", errors.New("there is no initdb; install PostgreSQL 15 or later (Debian: apt-get install postgresql)")
	}
	return filepath.Dir(path), nil
}

// version reads the major version in /usr/lib/postgresql/<version>/bin/initdb.
func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // 0 sorts first
	return n
}

// credential returns whom the server runs as: PostgreSQL refuses root.
func credential(dir string) (*syscall.SysProcAttr, error) {
	if os.Getuid() != 0 {
		return &syscall.SysProcAttr{}, nil
	}
	var u *user.User
	var err error
	for _, name := range []string{"postgres", "nobody"} {
		if u, err = user.Lookup(name); err == nil {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root, and there is no user postgres or nobody: %w", err)
	}
	uid, _ := strconv.Atoi(u.Uid) // numbers, on every Unix
	gid, _ := strconv.Atoi(u.Gid)
	return &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)},
	}, os.Chown(dir, uid, gid)
}

func (s *server) initdb(bin, dir string, as *syscall.SysProcAttr) error {
	secret := filepath.Join(dir, "password")
	if err := os.WriteFile(secret, []byte(s.password), 0o644); err != nil { // the directory is private
		return err
	}
	cmd := exec.Command(filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"), "-U", superuser,
		"--pwfile", secret, "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync",
		// Like most servers in the field, this one does not sort by bytes.
		"--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US")
	cmd.Dir, cmd.SysProcAttr = dir, as
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// watchSh runs the server until its standard input ends, then removes all of
// it. The input ends with the process that holds the other side, however that
// dies, so no test leaves a server behind.
const watchSh = `cd / && "$@" >"$DIR/log" 2>&1 & server=$!
read -r _
kill -QUIT "$server"; wait "$server"
rm -rf "$DIR"`

func (s *server) watch(bin, dir string, as *syscall.SysProcAttr) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	s.port = port
	cmd := exec.Command("/bin/sh", "-c", watchSh, "sh",
		filepath.Join(bin, "postgres"), "-D", filepath.Join(dir, "data"), "-p", strconv.Itoa(port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="+dir,
		"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
		"-c", "shared_buffers=32MB", "-c", "max_connections=200", "-c", "jit=off")
	// A process group of its own keeps a Ctrl-C from reaching it before us.
	as.Setpgid = true
	cmd.Dir, cmd.SysProcAttr, cmd.Env = dir, as, []string{"DIR=" + dir, "PATH=/usr/bin:/bin", "LC_ALL=C"}
	if s.alive, err = cmd.StdinPipe(); err != nil {
		return err
	}
	return cmd.Start()
}

// freePort returns a port of the loopback address that nobody listens on.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// ready waits until the server answers, and makes the owner of test databases.
func (s *server) ready(dir string) error {
	deadline := time.Now().Add(startTime)
	for {
		err := s.admin(fmt.Sprintf("CREATE ROLE %s LOGIN CREATEROLE PASSWORD '%s'", owner, s.password))
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(dir, "log")) // says more, where it is there
			return errors.Join(fmt.Errorf("PostgreSQL does not answer: %w: %s", err, log), s.alive.Close())
		}
		time.Sleep(20 * time.Millisecond)
	}
}
