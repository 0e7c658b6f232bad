package yamltree

// overBudget estimates how many values a YAML text holds without building
// them, and returns the line on which the estimate passes the limit, or 0. The
// YAML library builds a tree of ~200 bytes for each value, so a few megabytes
// of "[,,,,]" would otherwise cost a gigabyte. It counts what can end a value
// (line ends, commas, colons, brackets) outside of quotes, comments and block
// texts; where the text is strange it counts too much rather than too little.
func overBudget(src []byte, limit int) int {
	// Each value needs a byte and something that ends it.
	if len(src) < 2*limit {
		return 0
	}
	s := estimator{src: src, line: 1, fresh: true, block: -1}
	for s.pos < len(src) {
		s.step()
		if s.count > 2*limit {
			return s.line
		}
	}
	return 0
}

type estimator struct {
	src    []byte
	pos    int
	line   int
	count  int
	flow   int  // depth of brackets
	fresh  bool // a value may start here
	indent int  // of the current line
	block  int  // indentation of the line that opened a block text, or -1
}

func (s *estimator) step() {
	if s.pos == 0 || s.src[s.pos-1] == '\n' {
		s.startLine()
		if s.pos >= len(s.src) {
			return
		}
	}
	c := s.src[s.pos]
	switch {
	case c == '\n':
		s.endLine()
	case c == '#' && (s.pos == 0 || s.src[s.pos-1] <= ' '):
		s.skipTo('\n')
		return
	case (c == '"' || c == '\'') && s.fresh:
		s.quoted(c)
		s.count++
		s.fresh = false
		return
	case c == '[' || c == '{':
		if s.fresh || s.flow > 0 {
			s.flow++
		}
		s.count, s.fresh = s.count+1, true
	case c == ']' || c == '}':
		s.flow = max(s.flow-1, 0)
		s.count, s.fresh = s.count+1, false
	case c == ',' && s.flow > 0:
		s.count, s.fresh = s.count+1, true
	case c == ':' || c == '-' || c == '?':
		if c == ':' {
			s.count++
		}
		s.fresh = s.pos+1 < len(s.src) && s.src[s.pos+1] <= ' '
	case c > ' ':
		s.fresh = false
	}
	s.pos++
}

// startLine measures the indentation and skips the lines of a block text.
func (s *estimator) startLine() {
	for s.pos < len(s.src) {
		start := s.pos
		for s.pos < len(s.src) && s.src[s.pos] == ' ' {
			s.pos++
		}
		s.indent, s.fresh = s.pos-start, true
		if s.pos >= len(s.src) {
			return
		}
		empty := s.src[s.pos] == '\n' || s.src[s.pos] == '\r'
		if s.block < 0 || (!empty && s.indent <= s.block) {
			break
		}
		s.skipTo('\n')
		if s.pos < len(s.src) {
			s.pos++
			s.line++
		}
	}
	s.block = -1
}

// endLine looks back for the "|" or ">" that opens a block text.
func (s *estimator) endLine() {
	s.line++
	s.count++
	i := s.pos - 1
	for i >= 0 && (s.src[i] == ' ' || s.src[i] == '\r' || s.src[i] == '-' || s.src[i] == '+' || (s.src[i] >= '1' && s.src[i] <= '9')) {
		i--
	}
	if s.flow == 0 && i > 0 && (s.src[i] == '|' || s.src[i] == '>') && s.src[i-1] == ' ' {
		s.block = s.indent
	}
}

func (s *estimator) skipTo(c byte) {
	for s.pos < len(s.src) && s.src[s.pos] != c {
		s.pos++
	}
}

func (s *estimator) quoted(q byte) {
	for s.pos++; s.pos < len(s.src); s.pos++ {
		switch c := s.src[s.pos]; {
		case c == '\n':
			s.line++
		case c == '\\' && q == '"':
			s.pos++
		case c == q && q == '\'' && s.pos+1 < len(s.src) && s.src[s.pos+1] == q:
			s.pos++
		case c == q:
			s.pos++
			return
		}
	}
}
