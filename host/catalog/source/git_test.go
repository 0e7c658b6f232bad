package source

import (
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
)

// git runs the real git in a directory.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b.test", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b.test")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// gitServer serves bare repositories below root with git's own http-backend.
func gitServer(t *testing.T) (root string, server *httptest.Server) {
	t.Helper()
	path, err := exec.LookPath("git")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("git is not installed")
		}
		t.Skip("git is not installed: apt-get install git")
	}
	root = t.TempDir()
	server = httptest.NewServer(&cgi.Handler{Path: path, Args: []string{"http-backend"}, Env: []string{
		"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"}})
	t.Cleanup(server.Close)
	return root, server
}

func TestGit(t *testing.T) {
	root, server := gitServer(t)
	git(t, root, "init", "-q", "--bare", "-b", "main", "r.git")
	git(t, root, "init", "-q", "--bare", "empty.git")
	work := t.TempDir()
	git(t, work, "init", "-q", "-b", "main")
	write(t, work, "catalog-info.yaml", "one")
	git(t, work, "add", "-A")
	git(t, work, "commit", "-qm", "1")
	write(t, work, "catalog-info.yaml", "two")
	write(t, work, "sub/a.yaml", "a")
	write(t, work, "sub/deep/b.yaml", "b")
	write(t, work, "big.yaml", strings.Repeat("x", 2000))
	if err := os.Symlink("/etc/passwd", filepath.Join(work, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	git(t, work, "add", "-A")
	git(t, work, "commit", "-qm", "2")
	git(t, work, "tag", "-a", "-m", "x", "v1")
	git(t, work, "checkout", "-qb", "dev")
	write(t, work, "catalog-info.yaml", "dev")
	git(t, work, "commit", "-qam", "3")
	head := git(t, work, "rev-parse", "HEAD")
	git(t, work, "push", "-q", filepath.Join(root, "r.git"), "main", "dev", "v1")
	settings := Settings{Allow: allow(t, server.URL), MaxDocument: 1000}
	repo := server.URL + "/r.git"
	for target, want := range map[string]string{
		repo: "catalog-info.yaml=two", repo + "#dev": "catalog-info.yaml?ref=dev=dev", repo + "//sub/a.yaml?ref=v1": "a.yaml?ref=v1=a",
		repo + "//sub/**/*.yaml": "a.yaml=a b.yaml=b", repo + "//catalog-info.yaml?ref=" + head: "catalog-info.yaml?ref=" + head + "=dev",
	} {
		t.Run("OK "+strings.TrimPrefix(target, repo), func(t *testing.T) {
			c, err := read(t, open(t, settings), "git", target, "")
			if err != nil || bodies(c) != want || len(c.ETag) != 40 {
				t.Fatalf("%q %s, %v", bodies(c), c.ETag, err)
			}
			if c, err = read(t, open(t, settings), "git", target, c.ETag); err != nil || !c.NotModified {
				t.Errorf("again: %+v, %v", c, err)
			}
		})
	}
	for target, code := range map[string]host.Code{
		repo + "//none.yaml": host.CodeNotFound, repo + "//no/*.yaml": host.CodeNotFound, repo + "?ref=none": host.CodeNotFound,
		server.URL + "/none.git": host.CodeNotFound, server.URL + "/empty.git": host.CodeNotFound, repo + "//link.yaml": host.CodeForbidden,
		repo + "//big.yaml": host.CodeTooLarge, repo + "//[": host.CodeInvalid,
	} {
		t.Run("Err "+strings.TrimPrefix(target, server.URL), func(t *testing.T) {
			if c, err := read(t, open(t, settings), "git", target, ""); host.CodeOf(err) != code || host.AsError(err).Hint == "" {
				t.Errorf("%q, %v", bodies(c), err)
			}
		})
	}
	t.Run("ErrRepositoryTooLarge", func(t *testing.T) {
		small := settings
		small.MaxRepository = 500
		if _, err := read(t, open(t, small), "git", repo, ""); host.CodeOf(err) != host.CodeTooLarge {
			t.Error(err)
		}
	})
	t.Run("ErrObjectsTooLarge", func(t *testing.T) {
		write(t, work, "zeros.yaml", strings.Repeat("\x00", 1<<20))
		git(t, work, "add", "-A")
		git(t, work, "commit", "-qm", "4")
		git(t, work, "push", "-q", filepath.Join(root, "r.git"), "HEAD:refs/heads/zeros")
		small := settings
		small.MaxRepository = 10_000
		if _, err := read(t, open(t, small), "git", repo+"#zeros", ""); host.CodeOf(err) != host.CodeTooLarge {
			t.Error(err)
		}
	})
	t.Run("ErrPrivateAddress", func(t *testing.T) {
		if _, err := read(t, open(t, Settings{}), "git", repo, ""); host.CodeOf(err) != host.CodeForbidden {
			t.Error(err)
		}
	})
	t.Run("ErrServerHangs", func(t *testing.T) {
		stop := make(chan struct{})
		hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stop }))
		defer hanging.Close()
		defer close(stop)
		if _, err := read(t, open(t, Settings{Allow: allow(t, hanging.URL), Timeout: 100 * time.Millisecond}), "git", hanging.URL+"/r.git", ""); host.CodeOf(err) != host.CodeUpstream {
			t.Error(err)
		}
	})
	t.Run("OneFetchServesTheSession", func(t *testing.T) {
		s := open(t, settings)
		if _, err := read(t, s, "git", repo, ""); err != nil {
			t.Fatal(err)
		}
		server.Close()
		if c, err := read(t, s, "git", repo+"//sub/a.yaml", ""); err != nil || bodies(c) != "a.yaml=a" {
			t.Errorf("%q, %v", bodies(c), err)
		}
	})
}

func TestServersThatAreNoGitServersAreCalledSo(t *testing.T) {
	for name, body := range map[string]string{
		"nothing": "", "a page": "<!DOCTYPE html><title>Hello</title>", "a wrong greeting": "0009hello0000",
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }))
			defer server.Close()
			_, err := read(t, open(t, Settings{Allow: allow(t, server.URL)}), "git", server.URL+"/r.git", "")
			if host.CodeOf(err) != host.CodeUpstream || !strings.Contains(err.Error(), "did not answer as a git server") {
				t.Error(err)
			}
		})
	}
}
