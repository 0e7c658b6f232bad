package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// plant writes files into a fresh folder and returns what housecheck says about it.
func plant(t *testing.T, files map[string]string) (string, int) {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		p := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	code := run([]string{"tree", "-root", root}, strings.NewReader(""), &out)
	return out.String(), code
}

func goFile(pkg string, imports ...string) string {
	text := "// Package " + pkg + " is planted.\npackage " + pkg + "\n\n"
	for _, i := range imports {
		text += "import _ \"" + i + "\"\n"
	}
	return text
}

func TestTreeFindsOffenders(t *testing.T) {
	t.Parallel()
	long := goFile("kv") + "func f() {\n" + strings.Repeat("\tprintln()\n", maxFunc) + "}\n"
	tests := []struct {
		name, file, text, want string
	}{
		{"HostImportsSDK", "host/api/a.go", goFile("api", module+"/sdk/view"), "host/api/a.go:4: [import] " + module + "/sdk/view"},
		{"HostTestImportsPlugin", "host/api/a_test.go", goFile("api", module+"/plugins/prometheus"), "meet only in schemas"},
		{"SchemasImportHost", "schemas/x/v1/a.go", goFile("x", module+"/host"), "import nothing of ours"},
		{"SDKImportsHost", "sdk/a.go", goFile("sdk", module+"/host/kv"), "pulls in nothing of the host"},
		{"SDKImportsNetHTTP", "sdk/view/a.go", goFile("view", "net/http"), "triples the size"},
		{"PluginImportsHost", "plugins/a/a.go", goFile("main", module+"/host"), "no private door"},
		{"PluginImportsPlugin", "plugins/a/a.go", goFile("main", module+"/plugins/b"), "never by import"},
		{"NounImportsNoun", "host/auth/a.go", goFile("auth", module+"/host/audit"), "never another noun"},
		{"APIImportsWeb", "host/api/a.go", goFile("api", module+"/host/web"), "siblings"},
		{"ServiceImportsExtension", "host/service/a.go", goFile("service", module+"/host/extension"), "siblings"},
		{"RoomImportsDriver", "host/server/a.go", goFile("server", module+"/host/store/sqlitestore"), "drivers are imported by"},
		{"WordsImportRoom", "host/a.go", goFile("host", module+"/host/auth"), "words of the domain"},
		{"LongFile", "host/kv/a.go", goFile("kv") + strings.Repeat("// x\n", maxFile), "[size] file: "},
		{"LongFunction", "host/kv/a.go", long, "host/kv/a.go:4: [size] f: "},
		{"WideInterface", "host/kv/a.go", goFile("kv") + "// I is wide.\ntype I interface{ A(); B(); C(); D(); E(); F(); G() }\n", "[size] I: 7 methods"},
		{"SpentPackage", "host/utils/a.go", goFile("utils"), "package's name says nothing"},
		{"SpentFile", "host/kv/kv_helpers.go", goFile("kv"), "file's name says nothing"},
		{"SpentType", "host/kv/a.go", goFile("kv") + "// KeyManager is a planted one.\ntype KeyManager struct{}\n", "name it by what it does"},
		{"Init", "host/kv/a.go", goFile("kv") + "func init() {}\n", "[state] init"},
		{"PackageState", "host/kv/a.go", goFile("kv") + "var n int\n\nfunc f() { n++ }\n", "[state] n: changes a package variable"},
		{"PackageMapState", "host/kv/a.go", goFile("kv") + "var m = map[string]int{}\n\nfunc f() { m[\"a\"] = 1 }\n", "[state] m"},
		{"NoPackageDoc", "host/kv/a.go", "package kv\n", "the package has no doc"},
		{"SilentExport", "host/kv/a.go", goFile("kv") + "func Open() {}\n", "[doc] Open"},
		{"MachinePath", "docs/a.md", "see /ro" + "ot/x\n", "docs/a.md:1: [text] machine-path"},
		{"Unfinished", "host/kv/a.go", goFile("kv") + "// TO" + "DO: later\n", "[text] unfinished"},
		{"SleepInTest", "host/kv/a_test.go", goFile("kv") + "// time.Sl" + "eep(1)\n", "[text] sleep"},
		{"DeadLink", "docs/a.md", "see [b](b.md#part)\n", "docs/a.md:1: [link] b.md"},
		{"LongTest", "host/kv/a_test.go", strings.Replace(long, "func f()", "func TestF()", 1), "[size] TestF: "},
		{"LongSubtest", "host/kv/a_test.go", goFile("kv") + "func TestF() {\n\tt.Run(\"x\", func() {\n" + strings.Repeat("\t\tprintln()\n", maxFunc) + "\t})\n}\n", "[size] TestF: "},
		{"UnknownRoom", "lib/a.txt", "x\n", "[top] lib"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out, code := plant(t, map[string]string{tt.file: tt.text})
			if code != exitFound || !strings.Contains(out, tt.want) {
				t.Fatalf("exit %d, want %q in:\n%s", code, tt.want, out)
			}
		})
	}
}

func TestTreeAllows(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, file, text string }{
		{"CommandImportsDriver", "cmd/callboard/a.go", goFile("main", module+"/host/store/sqlitestore", module+"/host/web")},
		{"TestImportsDriver", "host/auth/a_test.go", goFile("auth", module+"/host/store/sqlitestore")},
		{"NounImportsStore", "host/auth/a.go", goFile("auth", module+"/host", module+"/host/store")},
		{"DriverImportsPort", "host/store/sqlitestore/a.go", goFile("sqlitestore", module+"/host/store/driver")},
		{"RoundtripImportsNetHTTP", "sdk/roundtrip/a.go", goFile("roundtrip", "net/http")},
		{"LocalShadow", "host/kv/a.go", goFile("kv") + "var n = 1\n\nfunc f() { n := 1; n++; _ = n }\n"},
		{"LocalVar", "host/kv/a.go", goFile("kv") + "var n = 1\n\nfunc f() { var n int; n++; _ = n }\n"},
		{"Blank", "host/kv/a.go", goFile("kv") + "var _ error = nil\n\nfunc f() { _ = 1 }\n"},
		{"SuiteImportsDriver", "host/store/storetest/a.go", goFile("storetest", module+"/host/store/sqlitestore")},
		{"TypedConstants", "host/kv/a.go", goFile("kv") + "// Tone is how it sounds.\ntype Tone string\n\nconst Good Tone = \"good\"\n"},
		{"ErrorMethod", "host/kv/a.go", goFile("kv") + "// Fault is one.\ntype Fault struct{}\n\nfunc (Fault) Error() string { return \"\" }\n"},
		{"Links", "docs/a.md", "[a](a.md) [b](https://example.com/x) [c](#part)\n"},
		{"ManySubtests", "host/kv/a_test.go", goFile("kv") + "func TestF() {\n" + strings.Repeat("\tt.Run(\"x\", func() {\n\t\tprintln()\n\t\tprintln()\n\t})\n", 40) + "}\n"},
		{"LongTable", "host/kv/a_test.go", goFile("kv") + "func TestF() {\n\ttests := []int{\n" + strings.Repeat("\t\t1,\n", maxFunc) + "\t}\n\t_ = tests\n}\n"},
		{"URLWithWork", "docs/a.md", "https://example.com/work/\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if out, code := plant(t, map[string]string{tt.file: tt.text}); code != exitOK {
				t.Fatalf("exit %d:\n%s", code, out)
			}
		})
	}
}

func TestPackageBudget(t *testing.T) {
	t.Parallel()
	files := func(dir string) map[string]string {
		m := map[string]string{}
		for i := range maxPackage + 1 {
			m[dir+"/f"+string(rune('a'+i))+".go"] = goFile("kv")
		}
		return m
	}
	if out, code := plant(t, files("host/kv")); code != exitFound || !strings.Contains(out, "[size] package: 11 files") {
		t.Errorf("a package of %d files passes:\n%s", maxPackage+1, out)
	}
	if out, code := plant(t, files("host/web")); code != exitOK {
		t.Errorf("a table room may have more files:\n%s", out)
	}
}

func TestExceptions(t *testing.T) {
	t.Parallel()
	offender := map[string]string{"host/kv/a.go": goFile("kv") + "func init() {}\n"}
	with := func(line string) map[string]string {
		m := map[string]string{".ci/exceptions": "# reasons\n" + line + "\n"}
		for k, v := range offender {
			m[k] = v
		}
		return m
	}
	tests := []struct {
		name, line, want string
		code             int
	}{
		{"Covers", "state host/kv/a.go init: a planted reason that is long enough", "1 exceptions, 0 findings", exitOK},
		{"OtherNameDoesNotCover", "state host/kv/a.go other: a planted reason that is long enough", "[state] init", exitFound},
		{"StaleIsAFinding", "size host/kv/b.go file: a planted reason that is long enough", "covers nothing any more", exitFound},
		{"ReasonIsRequired", "state host/kv/a.go init: no", "exceptions:2: want", exitFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out, code := plant(t, with(tt.line))
			if code != tt.code || !strings.Contains(out, tt.want) {
				t.Fatalf("exit %d, want %d and %q in:\n%s", code, tt.code, tt.want, out)
			}
		})
	}
}

func TestTreeReportsWhatItCannotRead(t *testing.T) {
	t.Parallel()
	out, code := plant(t, map[string]string{"host/kv/a.go": "package"})
	if code != exitFound || !strings.Contains(out, "parsing host/kv/a.go") {
		t.Fatalf("exit %d:\n%s", code, out)
	}
}
