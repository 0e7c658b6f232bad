package yamltree

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// converter turns the YAML library's tree into ours: scalars get their YAML
// 1.2 core meaning, duplicate keys are refused, and aliases become shared
// nodes, so that a bomb of aliases costs nothing until its size is known.
type converter struct {
	limits Limits
	before int // lines before the document
	done   map[*yaml.Node]*Node
}

func (c *converter) line(n *yaml.Node) int { return c.before + n.Line }

func (c *converter) convert(y *yaml.Node, depth int) (*Node, *Problem) {
	if depth > c.limits.Depth {
		return nil, &Problem{Line: c.line(y), Message: fmt.Sprintf("values are nested more than %d levels deep", c.limits.Depth),
			Hint: "flatten the document"}
	}
	switch y.Kind {
	case yaml.DocumentNode:
		return c.convert(y.Content[0], depth)
	case yaml.AliasNode:
		return c.alias(y)
	case yaml.ScalarNode:
		n := scalar(y)
		n.Line = c.line(y)
		c.done[y] = n
		return n, nil
	case yaml.SequenceNode:
		return c.list(y, depth)
	case yaml.MappingNode:
		return c.mapping(y, depth)
	default:
		return &Node{Kind: Null, Line: c.line(y), nodes: 1}, nil
	}
}

func (c *converter) alias(y *yaml.Node) (*Node, *Problem) {
	n := c.done[y.Alias]
	if n == nil {
		return nil, &Problem{Line: c.line(y), Message: fmt.Sprintf("the alias *%s stands inside of what it names", y.Value),
			Hint: "a value cannot contain itself"}
	}
	return n, nil
}

func (c *converter) list(y *yaml.Node, depth int) (*Node, *Problem) {
	n := &Node{Kind: List, Line: c.line(y), nodes: 1, Items: make([]*Node, 0, len(y.Content))}
	for _, item := range y.Content {
		v, p := c.convert(item, depth+1)
		if p != nil {
			return nil, p
		}
		n.Items = append(n.Items, v)
		n.grow(v, 0)
	}
	c.done[y] = n
	return n, nil
}

func (c *converter) mapping(y *yaml.Node, depth int) (*Node, *Problem) {
	n := &Node{Kind: Map, Line: c.line(y), nodes: 1, Fields: make([]Field, 0, len(y.Content)/2)}
	seen := make(map[string]int, len(y.Content)/2)
	for i := 0; i+1 < len(y.Content); i += 2 {
		k, line := y.Content[i], c.line(y.Content[i])
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		if k.Kind != yaml.ScalarNode {
			return nil, &Problem{Line: line, Message: "a key is a list or a map", Hint: "keys are plain words"}
		}
		if first, dup := seen[k.Value]; dup {
			return nil, &Problem{Line: line, Message: fmt.Sprintf("the key %q stands here twice, first on line %d", k.Value, first),
				Hint: "keep one of the two"}
		}
		seen[k.Value] = line
		c.done[y.Content[i]] = scalar(k)
		v, p := c.convert(y.Content[i+1], depth+1)
		if p != nil {
			return nil, p
		}
		n.Fields = append(n.Fields, Field{Key: k.Value, Line: line, Value: v})
		n.grow(v, len(k.Value))
	}
	c.done[y] = n
	return n, nil
}

// hugeSize stops the counting of an alias bomb before it overflows.
const hugeSize = 1 << 40

func (n *Node) grow(v *Node, key int) {
	n.nodes = min(n.nodes+v.nodes, hugeSize)
	n.bytes = min(n.bytes+v.bytes+key, hugeSize)
}

var (
	coreInt   = regexp.MustCompile(`^[-+]?[0-9]+$`)
	coreFloat = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
)

// scalar gives a scalar its meaning in YAML 1.2's core schema, which is what
// Backstage reads: "yes" and dates are strings, 010 is ten. What has no JSON
// form (.inf, .nan) stays a string.
func scalar(y *yaml.Node) *Node {
	n := &Node{Kind: String, Text: y.Value, Line: y.Line, nodes: 1, bytes: len(y.Value)}
	quoted := y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	if quoted || (y.Style&yaml.TaggedStyle != 0 && y.ShortTag() == "!!str") {
		return n
	}
	v := y.Value
	switch v {
	case "", "~", "null", "Null", "NULL":
		n.Kind, n.Text = Null, ""
		return n
	case "true", "True", "TRUE", "false", "False", "FALSE":
		n.Kind, n.Text = Bool, strings.ToLower(v)
		return n
	}
	if c := v[0]; c != '-' && c != '+' && c != '.' && (c < '0' || c > '9') {
		return n
	}
	if num, ok := number(v); ok {
		n.Kind, n.Text = Number, num
	}
	return n
}

// number returns the JSON spelling of a core schema number.
func number(v string) (string, bool) {
	if rest, ok := strings.CutPrefix(v, "0x"); ok {
		return radix(rest, 16)
	}
	if rest, ok := strings.CutPrefix(v, "0o"); ok {
		return radix(rest, 8)
	}
	if coreInt.MatchString(v) {
		sign, digits := "", strings.TrimPrefix(v, "+")
		if strings.HasPrefix(digits, "-") {
			sign, digits = "-", digits[1:]
		}
		if digits = strings.TrimLeft(digits, "0"); digits == "" {
			return "0", true
		}
		return sign + digits, true
	}
	if coreFloat.MatchString(v) {
		f, err := strconv.ParseFloat(v, 64)
		if err != nil {
			return "", false
		}
		return strconv.FormatFloat(f, 'g', -1, 64), true
	}
	return "", false
}

func radix(digits string, base int) (string, bool) {
	u, err := strconv.ParseUint(digits, base, 63)
	return strconv.FormatUint(u, 10), err == nil && !strings.ContainsAny(digits, "_+-")
}
