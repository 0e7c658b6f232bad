package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// canned is a server that answers from a table and remembers what was asked.
type canned struct {
	*httptest.Server
	answers map[string][]string // "METHOD /path" -> bodies, the last one stays
	status  map[string]int
	asked   []string
	bodies  []string
	header  http.Header
}

func newCanned(t *testing.T, answers map[string][]string) *canned {
	t.Helper()
	c := &canned{answers: answers, status: map[string]int{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Method + " " + r.URL.EscapedPath()
		body, _ := io.ReadAll(r.Body)
		c.asked = append(c.asked, r.Method+" "+r.URL.RequestURI())
		c.bodies = append(c.bodies, string(body))
		c.header = r.Header.Clone()
		list := c.answers[key]
		if len(list) == 0 {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(404)
			_, _ = io.WriteString(w, `{"type":"/problems/not-found","title":"Not found","status":404,"detail":"There is no such thing.","hint":"Look again."}`)
			return
		}
		if len(list) > 1 {
			c.answers[key] = list[1:]
		}
		status := 200
		if s := c.status[key]; s != 0 {
			status = s
			w.Header().Set("Content-Type", "application/problem+json")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, list[0])
	}))
	t.Cleanup(c.Close)
	t.Setenv("CALLBOARD_SERVER", c.URL)
	t.Setenv("CALLBOARD_TOKEN", "cb_test")
	return c
}

// command runs one command line.
func command(t *testing.T, stdin string, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(context.Background(), args, strings.NewReader(stdin), &o, &e)
	return code, o.String(), e.String()
}

const (
	greeterInstance = `{"id":"acme/greeter","name":"greeter","title":"Greeter","version":"1.0.0","state":"active","grants":[{"type":"kv/v1","quota":"1MiB"}],"extra":"kept"}`
	greeterPreview  = `{"id":"acme/greeter","title":"Greeter","version":"1.0.0","permissions":[{"type":"http/v1","hosts":["https://example.com"],"reason":"To greet.","private":true,"auth":{"type":"bearer","secret":"key"}}],"wider":[]}`
)

func TestClientCommands(t *testing.T) {
	answers := map[string][]string{
		"GET /api/v1/plugins":                               {`{"items":[` + greeterInstance + `]}`},
		"GET /api/v1/bundled-plugins":                       {`{"items":[{"id":"a/b","version":"2.0.0","title":"B"}]}`},
		"GET /api/v1/plugins/greeter":                       {greeterInstance},
		"POST /api/v1/plugins/greeter/disable":              {strings.Replace(greeterInstance, "active", "disabled", 1)},
		"POST /api/v1/plugins/greeter/enable":               {greeterInstance},
		"DELETE /api/v1/plugins/greeter":                    {``},
		"GET /api/v1/entities":                              {`{"items":[{"id":"component:default/a","kind":"Component","metadata":{"name":"a","title":"A\u001b[31m"},"spec":{"type":"service","owner":"x"}}],"next":"c1"}`, `{"items":[{"id":"component:default/b","metadata":{},"spec":{}}]}`},
		"GET /api/v1/entities/component/default/a":          {`{"kind":"Component","metadata":{"name":"a"}}`},
		"POST /api/v1/locations":                            {`{"location":{"id":"l1","status":"ok","target":"u"},"added":["component:default/a"],"problems":[]}`},
		"POST /api/v1/locations/l1/refresh":                 {`{"location":{"id":"l1","status":"ok","target":"u"},"unchanged":["component:default/a"],"problems":[{"where":"a.yaml:3","message":"odd","hint":"fix it"}]}`},
		"POST /api/v1/entities/component/default/a/refresh": {`{"location":{"id":"l1"},"problems":[]}`},
		"PUT /api/v1/plugins/greeter/config":                {greeterInstance},
	}
	for _, tt := range []struct {
		name string
		args string
		code int
		want string // in standard output or, with a leading "!", in standard error
	}{
		{"ListTable", "plugin list", 0, "acme/greeter  1.0.0    active"},
		{"ListJSON", "plugin list --output json", 0, `"extra": "kept"`},
		{"ListYAML", "plugin list --output yaml", 0, "- id: acme/greeter"},
		{"Bundled", "plugin list --bundled", 0, "available"},
		{"Info", "plugin info acme/greeter", 0, "Keep data of its own, up to 1MiB"},
		{"Disable", "plugin disable greeter", 0, "disabled"},
		{"Enable", "plugin enable acme/greeter@1.0.0", 0, "active"},
		{"Uninstall", "plugin uninstall greeter --yes", 0, "!Uninstalled greeter"},
		{"UninstallAsks", "plugin uninstall greeter", 1, "!--yes"},
		{"Entities", "catalog list --kind component", 0, "component:default/b"},
		{"EntityAsYAML", "catalog get a", 0, "kind: Component"},
		{"EntityAsJSON", "catalog get component:default/a -o json", 0, `"kind": "Component"`},
		{"EntityAbsent", "catalog get nope", 1, "!Hint: Look again."},
		{"Register", "catalog register https://example.com/x.yaml", 0, "added  component:default/a"},
		{"RefreshWithProblems", "catalog refresh l1", 1, "!a.yaml:3: odd (fix it)"},
		{"RegisterTypeUnknown", "catalog register x --type smb", 2, "!none of url, git, file"},
		{"RefreshEntity", "catalog refresh component:a", 0, "Location l1"},
		{"ConfigureNothing", "plugin configure greeter", 2, "!say what to set"},
		{"SecretOnCommandLine", "plugin configure greeter --secret key=hunter2", 2, "!would be seen by others"},
		{"WrongOutput", "plugin list --output xml", 2, "!none of table, json, yaml"},
		{"WrongArguments", "catalog get", 2, "!accepts 1 arg"},
		{"WrongServer", "plugin list --server ftp://x", 2, "!not an http or https URL"},
		{"NoSuchRef", "plugin install ./nowhere", 1, "!no folder, no packaged file"},
		{"NoSuchBundled", "plugin install acme/zzz", 1, "!plugin list --bundled"},
		{"NoSuchBundledByShortName", "plugin inspect zzz", 1, "!\"zzz\" is no folder"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			copied := map[string][]string{}
			for k, v := range answers {
				copied[k] = v
			}
			s := newCanned(t, copied)
			code, out, errOut := command(t, "", strings.Fields(tt.args)...)
			got := out
			want, inErr := strings.CutPrefix(tt.want, "!")
			if inErr {
				got = errOut
			}
			if code != tt.code || !strings.Contains(got, want) {
				t.Errorf("exit %d\nout: %s\nerr: %s", code, out, errOut)
			}
			if strings.Contains(out+errOut, "hunter2") || strings.Contains(out, "\x1b") {
				t.Errorf("what must not be printed is: %q", out+errOut)
			}
			if len(s.asked) > 0 && s.header.Get("Authorization") != "Bearer cb_test" {
				t.Error("the request has no token")
			}
		})
	}
}

func TestInstallCommand(t *testing.T) {
	progress := func(state string) string {
		return strings.Replace(greeterInstance, `"state":"active"`, `"state":"`+state+`","stateDetail":"because","progress":{"phase":"compiling","fraction":0.4}`, 1)
	}
	base := func() map[string][]string {
		return map[string][]string{
			"POST /api/v1/plugin-previews": {greeterPreview}, "POST /api/v1/plugins": {progress("compiling")},
			"GET /api/v1/plugins/greeter": {progress("compiling"), greeterInstance},
		}
	}
	t.Run("BundledWithProgress", func(t *testing.T) {
		s := newCanned(t, base())
		code, out, errOut := command(t, "", "plugin", "install", "acme/greeter", "--yes")
		if code != 0 || !strings.Contains(errOut, "compiling  40 %") || !strings.Contains(out, "active") || !strings.Contains(s.bodies[1], `"bundled":"acme/greeter"`) {
			t.Errorf("exit %d\nout: %s\nerr: %s\nsent: %q", code, out, errOut, s.bodies)
		}
		if !strings.Contains(errOut, "Reach https://example.com. Uses the secret “key”") || !strings.Contains(errOut, "because: To greet.") {
			t.Errorf("the permissions are not shown: %s", errOut)
		}
	})
	t.Run("BundledByShortNameAndVersion", func(t *testing.T) {
		for ref, sent := range map[string]string{"greeter": "greeter", "acme/greeter@1.0.0": "acme/greeter", "greeter@v1.0.0": "greeter"} {
			s := newCanned(t, base())
			code, _, errOut := command(t, "", "plugin", "install", ref, "--yes")
			if code != 0 || !strings.Contains(s.bodies[1], `"bundled":"`+sent+`"`) {
				t.Errorf("%s: exit %d: %s; sent %q", ref, code, errOut, s.bodies)
			}
		}
		s := newCanned(t, base())
		code, _, errOut := command(t, "", "plugin", "install", "acme/greeter@9.0.0", "--yes")
		if code != 1 || !strings.Contains(errOut, "version 1.0.0 does") || len(s.asked) != 1 {
			t.Errorf("exit %d: %s; asked %q", code, errOut, s.asked)
		}
	})
	t.Run("WhatLacksIsFollowedByTheNextCommand", func(t *testing.T) {
		off := strings.Replace(greeterInstance, `"state":"active"`, `"state":"disabled"`, 1)
		a := base()
		a["POST /api/v1/plugins"] = []string{strings.Replace(off, `"grants"`, `"missing":["key"],"grants"`, 1)}
		a["PUT /api/v1/plugins/greeter/config"] = []string{off}
		newCanned(t, a)
		file := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(file, []byte("tone: warm\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct{ args, next string }{
			{"plugin install greeter --yes", "Next: callboard plugin configure greeter --config FILE --secret key=@FILE\n"},
			{"plugin configure greeter --config " + file, "Next: callboard plugin enable greeter\n"},
		} {
			if code, _, errOut := command(t, "", strings.Fields(step.args)...); code != 0 || !strings.HasSuffix(errOut, step.next) {
				t.Errorf("%s: exit %d: %s", step.args, code, errOut)
			}
		}
		a["PUT /api/v1/plugins/greeter/config"] = []string{progress("compiling")}
		if code, out, errOut := command(t, "", "plugin", "configure", "greeter", "--config", file); code != 0 || !strings.Contains(out, "active") || strings.Contains(errOut, "Next") {
			t.Errorf("exit %d: %s %s", code, out, errOut)
		}
		if _, _, errOut := command(t, "", "plugin", "install", "greeter", "--yes", "--disabled"); strings.Contains(errOut, "Next") {
			t.Errorf("who wants it switched off is told to go on: %s", errOut)
		}
	})
	t.Run("FileWithConfigAndSecret", func(t *testing.T) {
		s := newCanned(t, base())
		dir := t.TempDir()
		for name, text := range map[string]string{"p.tar": "package bytes", "c.yaml": "tone: warm\n", "key": "hunter2\n"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		code, _, errOut := command(t, "", "plugin", "install", filepath.Join(dir, "p.tar"), "--yes",
			"--config", filepath.Join(dir, "c.yaml"), "--secret", "key=@"+filepath.Join(dir, "key"))
		sent := s.bodies[1]
		if code != 0 || !strings.Contains(sent, "package bytes") || !strings.Contains(sent, `"config":{"tone":"warm"}`) || !strings.Contains(sent, `"key":"hunter2"`) {
			t.Errorf("exit %d %s\nsent: %s", code, errOut, sent)
		}
	})
	t.Run("NobodyToAsk", func(t *testing.T) {
		s := newCanned(t, base())
		code, _, errOut := command(t, "", "plugin", "install", "acme/greeter")
		if code != 1 || !strings.Contains(errOut, "--yes") || len(s.asked) != 1 {
			t.Errorf("exit %d: %s; asked %q", code, errOut, s.asked)
		}
	})
	t.Run("Agreed", func(t *testing.T) {
		newCanned(t, base())
		if code, _, errOut := command(t, "y\n", "plugin", "install", "acme/greeter"); code != 0 {
			t.Errorf("exit %d: %s", code, errOut)
		}
	})
	t.Run("NotAgreed", func(t *testing.T) {
		s := newCanned(t, base())
		if code, _, _ := command(t, "n\n", "plugin", "install", "acme/greeter"); code != 1 || len(s.asked) != 1 {
			t.Errorf("exit %d; asked %q", code, s.asked)
		}
	})
	t.Run("InstalledAlready", func(t *testing.T) {
		a := base()
		a["POST /api/v1/plugin-previews"] = []string{strings.Replace(greeterPreview, `"wider"`, `"installed":"0.9.0","wider"`, 1)}
		a["POST /api/v1/plugins/greeter/upgrade"] = []string{greeterInstance}
		newCanned(t, a)
		if code, _, errOut := command(t, "", "plugin", "install", "acme/greeter", "--yes"); code != 1 || !strings.Contains(errOut, "plugin upgrade") {
			t.Errorf("exit %d: %s", code, errOut)
		}
		if code, out, errOut := command(t, "", "plugin", "upgrade", "acme/greeter"); code != 0 || !strings.Contains(errOut, "no further permission") {
			t.Errorf("exit %d: %s %s", code, out, errOut)
		}
	})
	t.Run("UpgradeThatCouldDoMore", func(t *testing.T) {
		a := base()
		more := strings.Replace(greeterPreview, `"wider":[]`, `"installed":"0.9.0","wider":[],"widened":["It has a new webhook."]`, 1)
		a["POST /api/v1/plugin-previews"] = []string{more}
		a["POST /api/v1/plugins/greeter/upgrade"] = []string{greeterInstance}
		newCanned(t, a)
		if code, _, errOut := command(t, "", "plugin", "upgrade", "greeter"); code != 1 || !strings.Contains(errOut, "  - It has a new webhook.\n") || !strings.Contains(errOut, "--yes") {
			t.Errorf("exit %d: %s", code, errOut)
		}
		if code, _, errOut := command(t, "y\n", "plugin", "upgrade", "greeter"); code != 0 {
			t.Errorf("exit %d: %s", code, errOut)
		}
		a["POST /api/v1/plugin-previews"] = []string{strings.Replace(more, `"wider":[]`, `"wider":[{"type":"kv/v1","quota":"2MiB","reason":"More."}]`, 1)}
		a["GET /api/v1/plugins/greeter"] = []string{greeterInstance}
		newCanned(t, a)
		if code, _, errOut := command(t, "", "plugin", "upgrade", "greeter", "--yes"); code != 0 || !strings.Contains(errOut, "So far: Keep data of its own, up to 1MiB") {
			t.Errorf("exit %d: %s", code, errOut)
		}
	})
	t.Run("FailsToStart", func(t *testing.T) {
		a := base()
		a["GET /api/v1/plugins/greeter"] = []string{progress("failed-to-start")}
		newCanned(t, a)
		if code, _, errOut := command(t, "", "plugin", "install", "acme/greeter", "--yes"); code != 1 || !strings.Contains(errOut, "because") {
			t.Errorf("exit %d: %s", code, errOut)
		}
	})
	t.Run("Inspect", func(t *testing.T) {
		newCanned(t, base())
		if code, out, _ := command(t, "", "plugin", "inspect", "acme/greeter"); code != 0 || !strings.Contains(out, "To greet.") {
			t.Errorf("exit %d: %s", code, out)
		}
	})
}

const apiDoc = `{"paths":{
 "/api/v1/things/{id}":{"get":{"operationId":"getThing","summary":"Read","parameters":[{"$ref":"#/components/parameters/id"},{"name":"view","in":"query"},{"name":"If-None-Match","in":"header"}]},
  "put":{"operationId":"putThing","parameters":[{"$ref":"#/components/parameters/id"}],"requestBody":{"required":true,"content":{"application/json":{}}}}},
 "/api/v1/find":{"get":{"operationId":"find","parameters":[{"name":"q","in":"query","required":true}]}}},
 "components":{"parameters":{"id":{"name":"id","in":"path","required":true}}}}`

func TestAPICommand(t *testing.T) {
	answers := func() map[string][]string {
		return map[string][]string{"GET /openapi.json": {apiDoc}, "GET /api/v1/things/a%2Fb": {`{"id":"a/b"}`},
			"PUT /api/v1/things/x": {`{"ok":true}`}, "GET /api/v1/find": {"plain text"}}
	}
	for _, tt := range []struct {
		name, args, in string
		code           int
		want, asked    string
	}{
		{"List", "api", "", 0, "getThing", ""},
		{"ListJSON", "api -o json", "", 0, `"path": "/api/v1/things/{id}"`, ""},
		{"Get", "api getThing -p id=a/b -p view=full -p If-None-Match=x", "", 0, `"id": "a/b"`, "GET /api/v1/things/a%2Fb?view=full"},
		{"YAML", "api getThing -p id=a/b -o yaml", "", 0, "id: a/b", ""},
		{"BodyOnCommandLine", `api putThing -p id=x -d {"a":1}`, "", 0, `"ok": true`, "PUT /api/v1/things/x"},
		{"BodyFromStandardInput", `api putThing -p id=x -d -`, `{"a":2}`, 0, `"ok": true`, "PUT /api/v1/things/x"},
		{"PlainAnswer", "api find -p q=1", "", 0, "plain text", "GET /api/v1/find?q=1"},
		{"Unknown", "api thing", "", 2, "!There is getThing, putThing.", ""},
		{"PathParameterMissing", "api getThing", "", 2, "!--param id=VALUE", ""},
		{"QueryParameterMissing", "api find", "", 2, "!--param q=VALUE", ""},
		{"ParameterUnknown", "api find -p z=1", "", 2, "!has the parameters q", ""},
		{"BodyMissing", "api putThing -p id=x", "", 2, "!needs --body", ""},
		{"BodyTooMany", "api find -p q=1 -d {}", "", 2, "!takes no body", ""},
		{"Problem", "api getThing -p id=none", "", 1, "!There is no such thing.", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newCanned(t, answers())
			code, out, errOut := command(t, tt.in, strings.Fields(tt.args)...)
			got := out
			want, inErr := strings.CutPrefix(tt.want, "!")
			if inErr {
				got = errOut
			}
			if code != tt.code || !strings.Contains(got, want) {
				t.Errorf("exit %d\nout: %s\nerr: %s", code, out, errOut)
			}
			if tt.asked != "" && s.asked[len(s.asked)-1] != tt.asked {
				t.Errorf("asked %q, want %s", s.asked, tt.asked)
			}
		})
	}
	t.Run("Completes", func(t *testing.T) {
		newCanned(t, answers())
		if _, out, _ := command(t, "", "__complete", "api", ""); !strings.Contains(out, "getThing\tRead") {
			t.Errorf("completes %s", out)
		}
	})
}

func TestServersAnswers(t *testing.T) {
	t.Run("Unreachable", func(t *testing.T) {
		t.Setenv("CALLBOARD_SERVER", "http://127.0.0.1:1")
		if code, _, errOut := command(t, "", "plugin", "list"); code != 1 || !strings.Contains(errOut, "Is the server running?") {
			t.Errorf("exit %d: %s", code, errOut)
		}
	})
	t.Run("NotCallboard", func(t *testing.T) {
		s := httptest.NewServer(http.NotFoundHandler())
		defer s.Close()
		t.Setenv("CALLBOARD_SERVER", s.URL)
		if code, _, errOut := command(t, "", "plugin", "list"); code != 1 || !strings.Contains(errOut, "not an answer of Callboard") {
			t.Errorf("exit %d: %s", code, errOut)
		}
	})
	t.Run("NoToken", func(t *testing.T) {
		s := newCanned(t, map[string][]string{"GET /api/v1/plugins": {`{"type":"/problems/unauthenticated","detail":"Who are you?"}`}})
		s.status["GET /api/v1/plugins"] = 401
		t.Setenv("CALLBOARD_TOKEN", "")
		if code, _, errOut := command(t, "", "plugin", "list"); code != 1 || !strings.Contains(errOut, "Set CALLBOARD_TOKEN") {
			t.Errorf("exit %d: %s", code, errOut)
		}
	})
	t.Run("TokensStayWithTheirServer", func(t *testing.T) {
		stolen := ""
		thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { stolen = r.Header.Get("Authorization") }))
		defer thief.Close()
		s := httptest.NewServer(http.RedirectHandler(thief.URL+"/x", http.StatusFound))
		defer s.Close()
		t.Setenv("CALLBOARD_SERVER", s.URL)
		t.Setenv("CALLBOARD_TOKEN", "cb_test")
		if code, _, _ := command(t, "", "plugin", "list"); code != 1 || stolen != "" {
			t.Errorf("exit %d; the token went to %q", code, stolen)
		}
	})
}

func TestValidateCommand(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.yaml"), filepath.Join(dir, "bad.yaml")
	for path, text := range map[string]string{
		good: "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: {name: a}\nspec: {type: service, lifecycle: x, owner: y}\n",
		bad:  "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: {name: 'a b'}\nspec: {type: service, lifecycle: x, owner: y}\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if code, out, errOut := command(t, "", "catalog", "validate", good); code != 0 || !strings.Contains(out, "1 file valid") {
		t.Errorf("exit %d: %s %s", code, out, errOut)
	}
	if code, _, errOut := command(t, "", "catalog", "validate", good, bad); code != 1 || !strings.Contains(errOut, "bad.yaml:3") {
		t.Errorf("exit %d: %s", code, errOut)
	}
	_, out, _ := command(t, "", "catalog", "validate", bad, "-o", "json")
	var list struct{ Items []catalogProblem }
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list.Items) == 0 {
		t.Errorf("JSON is %s (%v)", out, err)
	}
	if code, _, _ := command(t, "", "catalog", "validate", filepath.Join(dir, "none.yaml")); code != 1 {
		t.Errorf("exit %d for a file that is not there", code)
	}
}

func TestRegisterMakesPathsAbsolute(t *testing.T) {
	here, home := t.TempDir(), t.TempDir()
	t.Chdir(here)
	t.Setenv("HOME", home)
	for given, want := range map[string]string{
		"a.yaml": `{"target":"` + here + `/a.yaml","type":"file"}`, "./sub/*.yaml": `{"target":"` + here + `/sub/*.yaml","type":"file"}`,
		"file:../a.yaml": `{"target":"` + filepath.Dir(here) + `/a.yaml","type":"file"}`, "~/a.yaml": `{"target":"` + home + `/a.yaml","type":"file"}`,
		"file:/abs/a.yaml": `{"target":"/abs/a.yaml","type":"file"}`, "file:///abs/a.yaml": `{"target":"/abs/a.yaml","type":"file"}`,
		"url:https://a.test/b.yaml": `{"target":"https://a.test/b.yaml","type":"url"}`, "https://a.test/b.git": `{"target":"https://a.test/b.git","type":"git"}`,
	} {
		s := newCanned(t, map[string][]string{"POST /api/v1/locations": {`{"location":{"id":"l1"}}`}})
		if code, _, errOut := command(t, "", "catalog", "register", given); code != 0 || s.bodies[0] != want {
			t.Errorf("%s: exit %d %s; sent %s, want %s", given, code, errOut, s.bodies[0], want)
		}
	}
}

func TestRegisterFailsWhereThereAreProblems(t *testing.T) {
	for _, status := range []string{"ok", "error"} {
		newCanned(t, map[string][]string{"POST /api/v1/locations": {`{"location":{"id":"l1","status":"` + status + `","target":"u"},"added":["component:default/a"],"problems":[{"message":"odd"}]}`}})
		if code, out, errOut := command(t, "", "catalog", "register", "https://a.test/b.yaml"); code != 1 || !strings.Contains(out, "added") || !strings.Contains(errOut, "callboard catalog refresh l1") {
			t.Errorf("%s: exit %d\n%s%s", status, code, out, errOut)
		}
	}
}
