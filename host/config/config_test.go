package config_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/callboard-dev/callboard/host/config"
)

// load loads with arguments, variables and the text of a file.
func load(t *testing.T, args []string, env map[string]string, file string) (config.Config, error) {
	t.Helper()
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	config.AddFlags(fs)
	if file != "" {
		path := filepath.Join(t.TempDir(), "app-config.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", path)
	}
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return config.Load(fs, func(name string) (string, bool) { v, ok := env[name]; return v, ok })
}

func TestPrecedence(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		env  map[string]string
		file string
		want string
	}{
		{"Default", nil, nil, "", "127.0.0.1:8080"},
		{"FileOverDefault", nil, nil, "listen: 127.0.0.1:3\n", "127.0.0.1:3"},
		{"SectionOverDefault", nil, nil, "callboard:\n  listen: 127.0.0.1:4\n", "127.0.0.1:4"},
		{"EnvironmentOverFile", nil, map[string]string{"CALLBOARD_LISTEN": "127.0.0.1:2"}, "listen: 127.0.0.1:3\n", "127.0.0.1:2"},
		{"FlagOverEnvironment", []string{"--listen", "127.0.0.1:1"}, map[string]string{"CALLBOARD_LISTEN": "127.0.0.1:2"}, "listen: 127.0.0.1:3\n", "127.0.0.1:1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := load(t, tt.args, tt.env, tt.file)
			if err != nil || c.Listen != tt.want {
				t.Errorf("listen is %q (%v), want %q", c.Listen, err, tt.want)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	c, err := load(t, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if c.Data != ".callboard" || c.OpsListen != "127.0.0.1:8081" || c.DrainFor != 25*time.Second || c.LogFormat != "pretty" ||
		c.Demo || c.DatabaseURL != "" || c.TraceRatio != 1 {
		t.Errorf("defaults are %+v", c)
	}
}

func TestAllSettingsFromEnvironment(t *testing.T) {
	c, err := load(t, nil, map[string]string{
		"CALLBOARD_DATA": "/d", "CALLBOARD_DATABASE_URL": "postgres://u:p@h/db", "CALLBOARD_REDIS_URL": "redis://h",
		"CALLBOARD_MEILISEARCH_URL": "http://h", "CALLBOARD_DEMO": "true", "CALLBOARD_BASE_DOMAIN": ".Portal.Example.com",
		"CALLBOARD_BASE_URL": "https://p.example.com/", "CALLBOARD_LOG_LEVEL": "DEBUG", "CALLBOARD_TRACE_RATIO": "0.5",
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "CALLBOARD_DRAIN_FOR": "5s",
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	if c.DatabaseURL.Reveal() != "postgres://u:p@h/db" || !c.Demo || c.BaseDomain != "portal.example.com" ||
		c.BaseURL != "https://p.example.com" || c.LogLevel != "debug" || c.TraceRatio != .5 || c.OTLPEndpoint != "http://c:4317" || c.DrainFor != 5*time.Second {
		t.Errorf("settings are %+v", c)
	}
	if len(c.Warnings) != 1 {
		t.Errorf("meilisearch alone should warn: %q", c.Warnings)
	}
}

func TestBackstageLayout(t *testing.T) {
	c, err := load(t, nil, map[string]string{"PGHOST": "db", "PGPASS": "s3cret", "KIND": "Component"}, `
app:
  baseUrl: https://portal.example.com
backend:
  database:
    client: pg
    connection:
      host: ${PGHOST}
      port: ${PGPORT:-6432}
      user: callboard
      password: {$env: PGPASS}
      database: portal
      ssl: true
  reading:
    allow:
      - host: git.Example.com:8443
        paths: [/shop/]
catalog:
  rules:
    - allow: [Component, API, '$${LITERAL}']
    - allow: [User]
      locations: [{type: url, target: https://example.com/org.yaml}]
  locations:
    - type: file
      target: ../catalog/all.yaml
      rules: [{allow: [{kind: "${KIND}"}]}]
    - type: url
      target: https://example.com/catalog-info.yaml
integrations: {github: []}
`)
	if err != nil {
		t.Fatal(err)
	}
	if c.BaseURL != "https://portal.example.com" {
		t.Errorf("base URL is %q", c.BaseURL)
	}
	if got, want := c.DatabaseURL.Reveal(), "postgres://callboard:s3cret@db:6432/portal?sslmode=require"; got != want {
		t.Errorf("database is %q, want %q", got, want)
	}
	if len(c.Reading) != 1 || c.Reading[0].Host != "git.example.com:8443" || c.Reading[0].Paths[0] != "/shop/" {
		t.Errorf("reading is %+v", c.Reading)
	}
	if len(c.Rules) != 2 || c.Rules[0].Allow[2] != "${LITERAL}" || c.Rules[1].Locations[0].Target != "https://example.com/org.yaml" {
		t.Errorf("rules are %+v", c.Rules)
	}
	if len(c.Locations) != 2 || !filepath.IsAbs(c.Locations[0].Target) || c.Locations[0].Allow[0] != "Component" ||
		!strings.HasSuffix(c.Locations[0].Where, "app-config.yaml:24") {
		t.Errorf("locations are %+v", c.Locations)
	}
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "integrations") {
		t.Errorf("warnings are %q", c.Warnings)
	}
}

func TestFaultsSayWhere(t *testing.T) {
	for _, tt := range []struct{ name, file, want string }{
		{"MisspeltAtTop", "lisen: 127.0.0.1:1\n", `app-config.yaml:1: unknown setting "lisen" (did you mean "listen"?)`},
		{"MisspeltInSection", "callboard:\n  databaseUri: x\n", `app-config.yaml:2: unknown setting "callboard.databaseUri" (did you mean "database-url"?)`},
		{"UnknownInSection", "callboard:\n  zebra: x\n", `app-config.yaml:2: unknown setting "callboard.zebra"`},
		{"Twice", "listen: 127.0.0.1:1\ncallboard:\n  listen: 127.0.0.1:2\n", "is set twice"},
		{"BadValue", "\n\nlisten: nonsense\n", "app-config.yaml:3: listen: \"nonsense\" is not host:port"},
		{"BadPort", "listen: 127.0.0.1:99999\n", "not a port"},
		{"NotBool", "demo: maybe\n", "neither true nor false"},
		{"ListForScalar", "listen: [a]\n", "single value, not a list"},
		{"MapForScalar", "listen: {a: b}\n", "single value, not a mapping"},
		{"VariableMissing", "catalog:\n  locations:\n    - type: url\n      target: https://${NOPE}/x\n", "app-config.yaml:4: catalog.locations[0].target uses ${NOPE}, which is not set"},
		{"VariableOpen", "listen: ${NOPE\n", "${ without }"},
		{"EnvMissing", "listen: {$env: NOPE}\n", "which is not set"},
		{"FileMissing", "listen: {$file: nope.txt}\n", "cannot be read"},
		{"BrokenYAML", "listen: [\n", "not valid YAML"},
		{"NotAMapping", "- a\n", "must be a mapping"},
		{"SectionNotAMapping", "callboard: 3\n", "must be a mapping"},
		{"DatabaseClient", "backend:\n  database:\n    client: mysql2\n", "not supported; use pg"},
		{"ReadingWithoutHost", "backend:\n  reading:\n    allow:\n      - paths: [/]\n", "app-config.yaml:4: backend.reading.allow[0] needs host"},
		{"ReadingNotAMap", "backend:\n  reading:\n    allow: [a]\n", "must be a mapping with host"},
		{"LocationWithoutTarget", "catalog:\n  locations:\n    - type: url\n", "needs type (file, url or git) and target"},
		{"LocationNotAMap", "catalog:\n  locations: [a]\n", "must be a mapping with type and target"},
		{"RuleNotAMap", "catalog:\n  rules: [a]\n", "must be a mapping with allow"},
		{"NotAList", "catalog:\n  rules: 3\n", "must be a list"},
		{"DatabaseScheme", "database-url: mysql://root:hunter2@h/db\n", "must begin with postgres:// or postgresql://"},
		{"BaseURL", "base-url: ftp://x\n", "not an http or https URL"},
		{"BaseDomain", "base-domain: https://x\n", "not a domain name"},
		{"Ratio", "trace-ratio: 2\n", "from 0 to 1"},
		{"Drain", "drain-for: soon\n", "not a time like"},
		{"Proxy", "trusted-proxies: 10.0.0.0/8 nginx\n", `"nginx" is neither an address nor a range`},
		{"ProxyRange", "trusted-proxies: 10.0.0.0/33\n", `"10.0.0.0/33" is neither`},
		{"ProxyIPv4InIPv6", "trusted-proxies: ::ffff:10.0.0.1\n", "write it as IPv4"},
		{"ProxyZone", "trusted-proxies: fe80::1%eth0\n", "without its zone"},
		{"LogLevel", "log-level: loud\n", "none of debug, info, warn, error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load(t, nil, nil, tt.file)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("the error is %v, want %q in it", err, tt.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows a password: %v", err)
			}
		})
	}
}

func TestTrustedProxies(t *testing.T) {
	for value, want := range map[string]string{
		"": "[]", "10.0.0.1": "[10.0.0.1/32]", "fd00::1": "[fd00::1/128]", "10.1.2.3/8,  192.168.0.0/16": "[10.0.0.0/8 192.168.0.0/16]",
		"10.0.0.1 10.0.0.2": "[10.0.0.1/32 10.0.0.2/32]",
	} {
		c, err := load(t, []string{"--trusted-proxies", value}, nil, "")
		if err != nil || fmt.Sprint(c.TrustedProxies) != want {
			t.Errorf("%q is %v (%v), want %s", value, c.TrustedProxies, err, want)
		}
	}
}

func TestEveryFaultIsReported(t *testing.T) {
	_, err := load(t, []string{"--listen", "x"}, map[string]string{"CALLBOARD_DEMO": "y"}, "log-level: z\n")
	for _, want := range []string{"--listen: listen", "CALLBOARD_DEMO: demo", ":1: log-level"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error misses %q: %v", want, err)
		}
	}
}

func TestFileThatIsNotThere(t *testing.T) {
	_, err := load(t, []string{"--config", "/does/not/exist.yaml"}, nil, "")
	if err == nil || !strings.Contains(err.Error(), "--config") {
		t.Errorf("the error is %v", err)
	}
}

func TestForeignSectionsAreLeftAlone(t *testing.T) {
	c, err := load(t, nil, nil, "kubernetes: {a: [1]}\nmyOwnPlugin: {x: '${NOT_OURS}'}\nlisten: 127.0.0.1:9\n")
	if err != nil || c.Listen != "127.0.0.1:9" {
		t.Errorf("%v %q", err, c.Listen)
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	c, err := load(t, []string{"--database-url", "postgres://u:hunter2@h/db"}, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "url", c.DatabaseURL, "config", c)
	for _, s := range []string{fmt.Sprint(c), fmt.Sprintf("%+v %#v %q", c, c, c.DatabaseURL), string(raw), log.String()} {
		if strings.Contains(s, "hunter2") {
			t.Errorf("a password is printed: %s", s)
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add("listen: 127.0.0.1:1\ncatalog: {locations: [{type: url, target: 'https://${X:-y}/'}]}\n")
	f.Add("a: &a [*a]\n")
	f.Add("callboard: {demo: true}\n? [a]\n: b\n")
	f.Fuzz(func(t *testing.T, src string) {
		// Whatever it is, it is answered, and without a panic.
		_, _ = load(t, nil, map[string]string{"X": "1"}, src)
	})
}

func TestProcessPlugins(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		want        []string
		ok          bool
	}{
		{"None", "", nil, true},
		{"Names", "acme/heavy, acme/big", []string{"acme/heavy", "acme/big"}, true},
		{"All", "*", []string{"*"}, true},
		{"Release", "acme/heavy@sha256:" + strings.Repeat("a", 64), []string{"acme/heavy@sha256:" + strings.Repeat("a", 64)}, true},
		{"HalfADigest", "acme/heavy@sha256:ab", nil, false},
		{"NoNamespace", "heavy", nil, false},
		{"PartOfAll", "acme/*", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := load(t, []string{"--process-plugins", tt.value}, nil, "")
			if (err == nil) != tt.ok || tt.ok && !slices.Equal(c.ProcessPlugins, tt.want) {
				t.Errorf("got %q, %v", c.ProcessPlugins, err)
			}
		})
	}
}

func TestMail(t *testing.T) {
	t.Run("Section", func(t *testing.T) {
		c, err := load(t, nil, map[string]string{"MAIL_PASSWORD": "hunter2"}, "mail:\n  host: mail.example.com:465\n  from: portal@example.com\n  username: portal\n  password: ${MAIL_PASSWORD}\n  tls: TLS\n")
		if err != nil || c.MailHost != "mail.example.com:465" || c.MailFrom != "portal@example.com" || c.MailUsername != "portal" || c.MailPassword.Reveal() != "hunter2" || c.MailTLS != "tls" {
			t.Errorf("%+v %v", c, err)
		}
		if strings.Contains(fmt.Sprintf("%+v %#v", c, c), "hunter2") {
			t.Error("the password can be printed")
		}
	})
	t.Run("InTheOwnSection", func(t *testing.T) {
		if c, err := load(t, nil, nil, "callboard:\n  mail: {host: m.example.com}\n"); err != nil || c.MailHost != "m.example.com" || c.MailTLS != "starttls" {
			t.Errorf("%+v %v", c, err)
		}
	})
	t.Run("FlagOverFile", func(t *testing.T) {
		if c, err := load(t, []string{"--mail-host", "a"}, nil, "mail: {host: b}\n"); err != nil || c.MailHost != "a" {
			t.Errorf("%+v %v", c, err)
		}
	})
	for name, file := range map[string]string{"UnknownKey": "mail: {hots: b}\n", "OddTLS": "mail: {tls: maybe}\n", "NotASection": "mail: [a]\n"} {
		t.Run(name, func(t *testing.T) {
			if _, err := load(t, nil, nil, file); (err == nil) != (name == "NotASection") {
				t.Error(err)
			}
		})
	}
}

func TestPlugins(t *testing.T) {
	t.Run("Section", func(t *testing.T) {
		c, err := load(t, nil, nil, "plugins:\n  limits: {timeout: 20s, fuel: 3e9}\n  ceiling: {memory: 512MiB, fuel: 90000000000}\n  quota: {callsPerMinute: 600}\n  codeMemory: 256MiB\n")
		if err != nil || c.PluginLimits.Timeout != "20s" || c.PluginLimits.Fuel != 3e9 || c.PluginCeiling.Memory != "512MiB" || c.PluginQuota.CallsPerMinute != 600 || c.PluginCodeMemory != 256<<20 {
			t.Errorf("%+v %v", c, err)
		}
	})
	t.Run("FlagOverFile", func(t *testing.T) {
		c, err := load(t, []string{"--plugins-limits", "timeout=5s, hostCalls=9"}, nil, "plugins: {limits: {fuel: 1}}\n")
		if err != nil || c.PluginLimits.Timeout != "5s" || c.PluginLimits.HostCalls != 9 || c.PluginLimits.Fuel != 0 {
			t.Errorf("%+v %v", c.PluginLimits, err)
		}
	})
	for name, file := range map[string]string{
		"UnknownLimit": "plugins: {limits: {feul: 1}}\n", "NoNumber": "plugins: {quota: {fuelPerDay: much}}\n", "NoSize": "plugins: {codeMemory: 12 megabytes}\n",
		"Nested": "plugins: {limits: {fuel: {a: 1}}}\n", "UnknownKey": "plugins: {limit: {fuel: 1}}\n", "NoPair": "plugins: {limits: fuel}\n", "HugeSize": "plugins: {codeMemory: 99999999999GiB}\n",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := load(t, nil, nil, file); err == nil {
				t.Error("it was taken")
			}
		})
	}
}
