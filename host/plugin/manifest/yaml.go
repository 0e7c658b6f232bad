package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"bytes"

	"go.yaml.in/yaml/v3"

	"github.com/callboard-dev/callboard/host"
)

const (
	// maxNodes is how many YAML nodes a manifest may have, aliases counted as
	// often as they are used: an alias bomb stops here.
	maxNodes = 50_000
	maxDepth = 64
)

// document is a YAML file as a JSON value, with the line of each value.
type document struct {
	file  string
	value any
	lines map[string]int
	nodes int
}

// readYAML reads exactly one YAML document.
func readYAML(src []byte, file string) (doc *document, err error) {
	defer func() {
		if r := recover(); r != nil {
			doc, err = nil, host.Errorf(host.CodeInvalid, "the YAML cannot be read: %v", r).At(file)
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(src))
	var root yaml.Node
	if err := dec.Decode(&root); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, host.Errorf(host.CodeInvalid, "the manifest is empty").At(file)
		}
		return nil, broken(err, file)
	}
	var second yaml.Node
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, host.Errorf(host.CodeInvalid, "the manifest holds more than one YAML document").
			At(fmt.Sprintf("%s:%d", file, max(1, second.Line))).WithHint("remove everything from the second --- on")
	}
	d := &document{file: file, lines: map[string]int{}}
	if d.value, err = d.convert(root.Content[0], "", 0); err != nil {
		return nil, err
	}
	return d, nil
}

// where returns "file:line" of the value at path, or of the nearest value
// above it.
func (d *document) where(path []string) string {
	for n := len(path); n >= 0; n-- {
		if line, ok := d.lines[joined(path[:n])]; ok {
			return d.file + ":" + strconv.Itoa(line)
		}
	}
	return d.file
}

func joined(path []string) string { return strings.Join(path, "\x00") }

func (d *document) bad(n *yaml.Node, format string, args ...any) error {
	return host.Errorf(host.CodeInvalid, format, args...).At(fmt.Sprintf("%s:%d", d.file, n.Line))
}

func (d *document) convert(n *yaml.Node, path string, depth int) (any, error) {
	if d.nodes++; d.nodes > maxNodes {
		return nil, d.bad(n, "the manifest has more than %d values, aliases counted as often as they are used", maxNodes)
	}
	if depth > maxDepth {
		return nil, d.bad(n, "the manifest is nested deeper than %d levels", maxDepth)
	}
	if _, ok := d.lines[path]; !ok {
		d.lines[path] = n.Line
	}
	switch n.Kind {
	case yaml.AliasNode:
		return d.convert(n.Alias, path, depth+1)
	case yaml.MappingNode:
		return d.mapping(n, path, depth)
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for i, e := range n.Content {
			v, err := d.convert(e, under(path, strconv.Itoa(i)), depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	case yaml.ScalarNode:
		return d.scalar(n)
	}
	return nil, d.bad(n, "the YAML cannot be read here")
}

func (d *document) mapping(n *yaml.Node, path string, depth int) (any, error) {
	out := make(map[string]any, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			return nil, d.bad(key, "a key must be a plain word")
		}
		if key.ShortTag() == "!!merge" {
			return nil, d.bad(key, "merge keys (<<) are not supported")
		}
		if _, twice := out[key.Value]; twice {
			return nil, d.bad(key, "the key %q is there twice", key.Value)
		}
		sub := under(path, key.Value)
		d.lines[sub] = key.Line
		v, err := d.convert(value, sub, depth+1)
		if err != nil {
			return nil, err
		}
		out[key.Value] = v
	}
	return out, nil
}

func under(path, key string) string {
	if path == "" {
		return key
	}
	return path + "\x00" + key
}

func (d *document) scalar(n *yaml.Node) (any, error) {
	switch tag := n.ShortTag(); tag {
	case "!!null":
		return nil, nil
	case "!!bool":
		var v bool
		err := n.Decode(&v)
		return v, err
	case "!!int":
		var v int64
		if err := n.Decode(&v); err != nil {
			return nil, d.bad(n, "%q is not a number that fits 64 bits", n.Value)
		}
		return json.Number(strconv.FormatInt(v, 10)), nil
	case "!!float":
		var v float64
		if err := n.Decode(&v); err != nil || v != v || v > 1e308 || v < -1e308 {
			return nil, d.bad(n, "%q is not a number that JSON can hold", n.Value)
		}
		return json.Number(strconv.FormatFloat(v, 'g', -1, 64)), nil
	case "!!str", "!!timestamp":
		return n.Value, nil
	default:
		return nil, d.bad(n, "the YAML tag %s is not supported", tag)
	}
}

var yamlLine = regexp.MustCompile(`line (\d+): `)

// broken tells the YAML reader's error with its line.
func broken(err error, file string) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	where := file
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		where += ":" + m[1]
		text = strings.Replace(text, m[0], "", 1)
	}
	return host.Errorf(host.CodeInvalid, "not YAML: %s", text).At(where).
		WithHint("check the indentation, and quote values that contain a colon")
}
