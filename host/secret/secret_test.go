package secret_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/secret"
	"pgregory.net/rapid"
)

func box(t *testing.T, dir string) *secret.Box {
	t.Helper()
	b, err := secret.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSeal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b, a, other := box(t, dir), host.NewTenantID(), host.NewTenantID()
	plain := []byte("ghp_canary")
	sealed, err := b.Seal(a, "github-token", plain)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("OK", func(t *testing.T) {
		t.Parallel()
		got, err := b.Open(a, "github-token", sealed)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("Open = %q, %v", got, err)
		}
	})
	t.Run("OKAfterRestart", func(t *testing.T) {
		t.Parallel()
		got, err := box(t, dir).Open(a, "github-token", sealed)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("Open = %q, %v", got, err)
		}
	})
	t.Run("HidesAndDiffers", func(t *testing.T) {
		t.Parallel()
		again, err := b.Seal(a, "github-token", plain)
		if err != nil || bytes.Equal(again, sealed) || bytes.Contains(sealed, plain) {
			t.Fatalf("sealed twice the same, or in the clear (%v)", err)
		}
	})
	t.Run("ErrEveryChangedByte", func(t *testing.T) {
		t.Parallel()
		for i := range sealed {
			bad := bytes.Clone(sealed)
			bad[i] ^= 1
			if got, err := b.Open(a, "github-token", bad); err == nil || got != nil {
				t.Fatalf("with byte %d changed it opens", i)
			}
			if got, err := b.Open(a, "github-token", sealed[:i]); err == nil || got != nil {
				t.Fatalf("cut at byte %d it opens", i)
			}
		}
	})
	t.Run("ErrOtherPlace", func(t *testing.T) {
		t.Parallel()
		if _, err := b.Open(other, "github-token", sealed); err == nil {
			t.Error("opens for another tenant")
		}
		if _, err := b.Open(a, "github-toke", sealed); err == nil {
			t.Error("opens under another name")
		}
	})
	t.Run("ErrOtherKey", func(t *testing.T) {
		t.Parallel()
		_, err := box(t, t.TempDir()).Open(a, "github-token", sealed)
		if err == nil || !strings.Contains(err.Error(), secret.KeyFile) {
			t.Fatalf("error = %v, want one that names the key file", err)
		}
	})
	t.Run("ErrNoTenant", func(t *testing.T) {
		t.Parallel()
		if _, err := b.Seal("", "x", plain); err == nil {
			t.Error("sealed for no tenant")
		}
		if _, err := b.Open("", "github-token", sealed); err == nil {
			t.Error("opened for no tenant")
		}
		if _, err := b.Derive("", "audit"); err == nil {
			t.Error("derived for no tenant")
		}
	})
}

// A value opens at its own tenant and name, and at no other.
func TestSealIsBoundToItsPlace(t *testing.T) {
	t.Parallel()
	b := box(t, t.TempDir())
	tenants := []host.TenantID{host.NewTenantID(), host.NewTenantID()}
	rapid.Check(t, func(t *rapid.T) {
		at, from := rapid.SampledFrom(tenants).Draw(t, "sealed for"), rapid.SampledFrom(tenants).Draw(t, "opened for")
		name, ask := rapid.StringN(0, 4, 8).Draw(t, "name"), rapid.StringN(0, 4, 8).Draw(t, "asked name")
		plain := rapid.SliceOf(rapid.Byte()).Draw(t, "secret")
		sealed, err := b.Seal(at, name, plain)
		if err != nil {
			t.Fatal(err)
		}
		got, err := b.Open(from, ask, sealed)
		if right := at == from && name == ask; right != (err == nil) {
			t.Fatalf("right place: %v, error: %v", right, err)
		}
		if err == nil && !bytes.Equal(got, plain) {
			t.Fatalf("opened %q, want %q", got, plain)
		}
	})
}

func TestNew(t *testing.T) {
	t.Parallel()
	old, fresh := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	tenant := host.NewTenantID()
	before, err := secret.New(old)
	if err != nil {
		t.Fatal(err)
	}
	after, err := secret.New(old, fresh)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("OldSecretsOpenBesideANewKey", func(t *testing.T) {
		t.Parallel()
		sealed, _ := before.Seal(tenant, "n", []byte("v"))
		if got, err := after.Open(tenant, "n", sealed); err != nil || string(got) != "v" {
			t.Fatalf("Open = %q, %v", got, err)
		}
		sealed, _ = after.Seal(tenant, "n", []byte("v"))
		if _, err := before.Open(tenant, "n", sealed); err == nil {
			t.Fatal("the new key does not seal")
		}
	})
	t.Run("DerivedKeysStay", func(t *testing.T) {
		t.Parallel()
		a, _ := before.Derive(tenant, "audit")
		b, _ := after.Derive(tenant, "audit")
		c, _ := after.Derive(tenant, "other")
		d, _ := after.Derive(host.NewTenantID(), "audit")
		if len(a) != 32 || !bytes.Equal(a, b) || bytes.Equal(a, c) || bytes.Equal(a, d) {
			t.Fatal("a derived key must depend on tenant and purpose alone")
		}
	})
	t.Run("ErrSize", func(t *testing.T) {
		t.Parallel()
		if _, err := secret.New([]byte("short")); host.CodeOf(err) != host.CodeInvalid {
			t.Errorf("error = %v", err)
		}
		if _, err := secret.New(); host.CodeOf(err) != host.CodeInvalid {
			t.Errorf("error without keys = %v", err)
		}
	})
}

func TestOpenKeyFile(t *testing.T) {
	t.Parallel()
	t.Run("ModeIsPrivate", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "new", "data")
		box(t, dir)
		info, err := os.Stat(filepath.Join(dir, secret.KeyFile))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("mode = %v, %v", info.Mode(), err)
		}
		left, _ := os.ReadDir(dir)
		if len(left) != 1 {
			t.Fatalf("left behind: %v", left)
		}
	})
	t.Run("ManyStartsAtOnceShareOneKey", func(t *testing.T) {
		t.Parallel()
		dir, tenant := t.TempDir(), host.NewTenantID()
		var wg sync.WaitGroup
		var mu sync.Mutex
		seen := map[string]bool{}
		for range 16 {
			wg.Go(func() {
				b, err := secret.Open(dir)
				if err != nil {
					t.Error(err)
					return
				}
				key, _ := b.Derive(tenant, "x")
				mu.Lock()
				seen[string(key)] = true
				mu.Unlock()
			})
		}
		wg.Wait()
		if len(seen) != 1 {
			t.Fatalf("%d different keys", len(seen))
		}
	})
	for name, mode := range map[string]os.FileMode{"ErrWorldReadable": 0o604, "ErrGroupReadable": 0o640} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			box(t, dir)
			path := filepath.Join(dir, secret.KeyFile)
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			if _, err := secret.Open(dir); host.CodeOf(err) != host.CodeInvalid || !strings.Contains(err.Error(), "chmod 600 "+path) {
				t.Fatalf("error = %v, want one that says what to do", err)
			}
		})
	}
	for name, text := range map[string]string{
		"ErrEmpty": "", "ErrOnlyComment": "# key\n", "ErrNoMark": "c2VjcmV0c2VjcmV0\n",
		"ErrNotBase64": "callboard-key-1:!!canary!!\n", "ErrShortKey": "callboard-key-1:Y2FuYXJ5\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, secret.KeyFile)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := secret.Open(dir)
			if host.CodeOf(err) != host.CodeInvalid || !strings.Contains(host.AsError(err).Where, path) {
				t.Fatalf("error = %v, want one that names the file", err)
			}
			if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "Y2FuYXJ5") {
				t.Fatalf("the error repeats the key: %v", err)
			}
			if now, _ := os.ReadFile(path); string(now) != text {
				t.Fatal("a damaged key file was replaced")
			}
		})
	}
	t.Run("ErrNoDirectory", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := secret.Open(file); host.CodeOf(err) != host.CodeUnavailable {
			t.Fatalf("error = %v", err)
		}
	})
}

func FuzzOpen(f *testing.F) {
	b, err := secret.New(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		f.Fatal(err)
	}
	tenant := host.NewTenantID()
	sealed, err := b.Seal(tenant, "n", []byte("v"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add([]byte{})
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := b.Open(tenant, "n", data)
		if err == nil && !bytes.Equal(data, sealed) {
			t.Fatalf("forged: %q opens as %q", data, got)
		}
	})
}
