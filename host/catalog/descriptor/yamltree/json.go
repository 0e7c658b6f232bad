package yamltree

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// ParseJSON reads one JSON text. Its lines are those of the text.
func ParseJSON(src []byte, l Limits) (*Node, *Problem) {
	l = l.Filled()
	if len(src) > l.Bytes {
		return nil, checkSource(src, l)
	}
	r := &jsonReader{dec: json.NewDecoder(bytes.NewReader(src)), src: src, limits: l}
	r.dec.UseNumber()
	n, err := r.value(0)
	if err == nil {
		if _, more := r.dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("text goes on after the end of the value")
		}
	}
	if err != nil {
		return nil, &Problem{Line: r.line(), Message: "not valid JSON: " + err.Error(), Hint: "check the syntax around this line"}
	}
	return n, nil
}

type jsonReader struct {
	dec    *json.Decoder
	src    []byte
	limits Limits
	count  int
	// at and lines say how many lines end before an offset.
	at    int64
	lines int
}

func (r *jsonReader) line() int {
	to := min(r.dec.InputOffset(), int64(len(r.src)))
	r.lines += bytes.Count(r.src[r.at:to], []byte("\n"))
	r.at = to
	return r.lines + 1
}

func (r *jsonReader) value(depth int) (*Node, error) {
	tok, err := r.dec.Token()
	if errors.Is(err, io.EOF) {
		return nil, io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	if r.count++; r.count > r.limits.Nodes {
		return nil, fmt.Errorf("it holds more than %d values", r.limits.Nodes)
	}
	n := &Node{Line: r.line(), nodes: 1}
	switch t := tok.(type) {
	case string:
		n.Kind, n.Text, n.bytes = String, t, len(t)
	case json.Number:
		n.Kind, n.Text, n.bytes = Number, t.String(), len(t)
	case bool:
		n.Kind, n.Text = Bool, fmt.Sprint(t)
	case json.Delim:
		return r.container(n, t, depth+1)
	}
	return n, nil
}

func (r *jsonReader) container(n *Node, open json.Delim, depth int) (*Node, error) {
	if depth > r.limits.Depth {
		return nil, fmt.Errorf("values are nested more than %d levels deep", r.limits.Depth)
	}
	n.Kind = List
	if open == '{' {
		n.Kind = Map
	}
	for r.dec.More() {
		key, line := "", r.line()
		if n.Kind == Map {
			tok, err := r.dec.Token()
			if err != nil {
				return nil, err
			}
			key, line = tok.(string), r.line()
		}
		v, err := r.value(depth)
		if err != nil {
			return nil, err
		}
		n.grow(v, len(key))
		if n.Kind == Map {
			n.Fields = append(n.Fields, Field{Key: key, Line: line, Value: v})
		} else {
			n.Items = append(n.Items, v)
		}
	}
	_, err := r.dec.Token()
	return n, err
}
