package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/callboard-dev/callboard/host"
)

// expand fills in ${NAME} and ${NAME:-default}; $${ stands for ${ itself. A
// variable that is not set and has no default is a mistake.
func (f *file) expand(path, s string) (string, bool) {
	var out strings.Builder
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			out.WriteString(s)
			return out.String(), true
		}
		if i > 0 && s[i-1] == '$' {
			out.WriteString(s[:i-1] + "${")
			s = s[i+2:]
			continue
		}
		end := strings.IndexByte(s[i:], '}')
		if end < 0 {
			f.fault(path, "%s has ${ without }", path)
			return "", false
		}
		name, def, hasDefault := strings.Cut(s[i+2:i+end], ":-")
		v, set := f.env(strings.TrimSpace(name))
		switch {
		case set && (v != "" || !hasDefault):
		case hasDefault:
			v = def
		default:
			f.faults = append(f.faults, fault(f.where(path), "%s uses ${%s}, which is not set", path, name).
				WithHint("set the variable, or write ${%s:-default}", strings.TrimSpace(name)))
			return "", false
		}
		out.WriteString(s[:i] + v)
		s = s[i+end+1:]
	}
}

// yamlFault turns the parser's error into one of ours, with file:line.
func yamlFault(name string, err error) error {
	where := name
	var at interface{ GetMessage() string }
	msg := err.Error()
	if errors.As(err, &at) {
		msg = at.GetMessage()
	}
	var syntax *yaml.SyntaxError
	if errors.As(err, &syntax) && syntax.Token != nil {
		where = fmt.Sprintf("%s:%d", name, syntax.Token.Position.Line)
	} else if line := lineOf(err.Error()); line != "" {
		where = name + ":" + line
	}
	return host.Errorf(host.CodeInvalid, "the file is not valid YAML: %s", msg).At(where)
}

// lineOf reads the line from a message that begins "[line:column]".
func lineOf(msg string) string {
	if !strings.HasPrefix(msg, "[") {
		return ""
	}
	line, _, ok := strings.Cut(msg[1:], ":")
	if !ok {
		return ""
	}
	return line
}

// nearest returns the known word that a misspelt one probably means, or "".
func nearest(word string, known map[string]bool) string {
	best, at := "", 3
	for k := range known {
		d := distance(word, k)
		if d < at && d*3 <= len(word) || d == at && best != "" && k < best {
			best, at = k, d
		}
	}
	return best
}

// distance counts the single-letter edits between a and b.
func distance(a, b string) int {
	prev := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := prev[0]
		prev[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = prev[j]
			prev[j] = min(prev[j]+1, prev[j-1]+1, cost)
		}
	}
	return prev[len(b)]
}
