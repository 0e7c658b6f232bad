package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCoverage(t *testing.T) {
	t.Parallel()
	const half = "mode: set\n" + module + "/host/kv/kv.go:1.1,2.2 5 1\n" + module + "/host/kv/kv.go:3.1,4.2 5 0\n"
	const other = "mode: set\n" + module + "/host/kv/kv.go:1.1,2.2 5 0\n" + module + "/host/kv/kv.go:3.1,4.2 5 7\n"
	tests := []struct {
		name     string
		profiles []string
		want     string
		code     int
	}{
		{"BelowFloor", []string{half}, "coverage: 50.0 % of 10 statements", exitFound},
		{"UnionOfProfiles", []string{half, other}, "coverage: 100.0 %", exitOK},
		{"SuitesAreNotCounted", []string{other + module + "/host/store/drivertest/a.go:1.1,2.2 90 0\n" + half}, "coverage: 100.0 % of 10", exitOK},
		{"WeakRoomsAreNamed", []string{half}, "50.0 %     10 statements  " + module + "/host/kv", exitFound},
		{"EmptyIsNoCoverage", []string{"mode: set\n"}, "of 0 statements", exitFound},
		{"BrokenProfile", []string{"mode: set\nx y\n"}, ":2: want three words", exitFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			args := []string{"coverage", "-floor", "80", "-room", "70"}
			for i, text := range tt.profiles {
				name := filepath.Join(t.TempDir(), string(rune('a'+i))+".out")
				if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				args = append(args, name)
			}
			var out strings.Builder
			code := run(args, strings.NewReader(""), &out)
			if code != tt.code || !strings.Contains(out.String(), tt.want) {
				t.Fatalf("exit %d, want %d and %q in:\n%s", code, tt.code, tt.want, out.String())
			}
		})
	}
}

func TestCoverageOfMissingProfileSaysWhoWritesIt(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	code := run([]string{"coverage", filepath.Join(t.TempDir(), "none")}, strings.NewReader(""), &out)
	if code != exitFound || !strings.Contains(out.String(), "make test writes it") {
		t.Fatalf("exit %d:\n%s", code, out.String())
	}
}

func TestTestlog(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, log string
		want      []string
		code      int
	}{
		{"Pass", `{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Elapsed":1.5}`, []string{"ok    p", "1.5s", "1 passed, 0 failed, 0 skipped"}, exitOK},
		{"FailureShowsItsOutput", `{"Action":"output","Package":"p","Test":"TestA","Output":"got 1, want 2\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}`, []string{"FAIL  p TestA\ngot 1, want 2", "0 passed, 1 failed"}, exitFound},
		{"BuildFailureCounts", `{"Action":"build-output","ImportPath":"p [p.test]","Output":"undefined: x\n"}
{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}`, []string{"undefined: x", "0 passed, 1 failed"}, exitFound},
		{"SkipIsSaidAloud", `{"Action":"pass","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:3: no postgres here\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"--- SKIP: TestA (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestA"}`, []string{"SKIP  p TestA: a_test.go:3: no postgres here", "1 passed, 0 failed, 1 skipped"}, exitOK},
		{"NothingRunIsAFailure", ``, []string{"0 passed, 0 failed"}, exitFound},
		{"OtherTextIsShown", "go: cannot find module", []string{"go: cannot find module"}, exitFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			code := run([]string{"testlog"}, strings.NewReader(tt.log), &out)
			if code != tt.code {
				t.Errorf("exit %d, want %d", code, tt.code)
			}
			for _, want := range tt.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("want %q in:\n%s", want, out.String())
				}
			}
		})
	}
}

func TestUnknownCommandIsWrongUsage(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if code := run([]string{"frob"}, strings.NewReader(""), &out); code != exitUsage || !strings.Contains(out.String(), "usage") {
		t.Fatalf("exit %d:\n%s", code, out.String())
	}
}
