package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/callboard-dev/callboard/host"
)

// AddFlags adds a flag for every setting, and --config.
func AddFlags(fs *pflag.FlagSet) {
	fs.String("config", "", "configuration file; Backstage's app-config.yaml layout is understood (env CALLBOARD_CONFIG)")
	for _, o := range options() {
		usage := o.usage + " (env " + o.env() + ")"
		if o.bool {
			fs.Bool(o.name, o.def == "true", usage)
			continue
		}
		fs.String(o.name, o.def, usage)
	}
}

// Lookup is os.LookupEnv, or a test's.
type Lookup func(name string) (string, bool)

// Load reads the settings. Every fault is reported, not only the first, each
// with where it stands: a flag, a variable, or file:line.
func Load(fs *pflag.FlagSet, env Lookup) (Config, error) {
	var c Config
	var faults []error
	path := fs.Lookup("config").Value.String()
	if v, ok := env("CALLBOARD_CONFIG"); ok && !fs.Changed("config") {
		path = v
	}
	f := &file{}
	if path != "" {
		var err error
		if f, err = readFile(path, env); err != nil {
			return Config{}, err
		}
		c.File = path
	}
	for _, o := range options() {
		value, from := o.choose(fs, env, f)
		if err := o.set(&c, value); err != nil {
			faults = append(faults, fault(from, "%s: %v", o.name, err))
		}
	}
	f.into(&c)
	faults = append(faults, f.faults...)
	c.warn()
	return c, errors.Join(faults...)
}

// choose returns the value that wins and where it was said.
func (o option) choose(fs *pflag.FlagSet, env Lookup, f *file) (value, from string) {
	if fl := fs.Lookup(o.name); fl != nil && fl.Changed {
		return fl.Value.String(), "--" + o.name
	}
	if v, ok := env(o.env()); ok {
		return v, o.env()
	}
	if o.also != "" {
		if v, ok := env(o.also); ok {
			return v, o.also
		}
	}
	if v, ok := f.own[o.name]; ok {
		return v.text, v.where
	}
	return o.def, "default"
}

// warn says which settings this release accepts and does not use.
func (c *Config) warn() {
	if c.MeilisearchURL != "" {
		c.Warnings = append(c.Warnings, "meilisearch-url is accepted but not used by this release: search runs in the database")
	}
}

// fault is one mistake of the operator's.
func fault(where, format string, args ...any) *host.Error {
	return host.Errorf(host.CodeInvalid, format, args...).At(where)
}

// readFile reads and understands one configuration file.
func readFile(path string, env Lookup) (*file, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w (check --config)", err)
	}
	if info.Size() > maxFileBytes {
		return nil, fault(path, "the file has %d bytes, more than %d", info.Size(), maxFileBytes)
	}
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return parse(src, path, filepath.Dir(abs), env)
}
