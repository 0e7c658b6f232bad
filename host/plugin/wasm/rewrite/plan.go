package rewrite

// point is a place in a function's code where fuel is charged.
type point struct {
	at   int
	cost int64
}

// plan finds where a function is charged, and how much: at the begin of each
// stretch of code that runs as a whole.
func (b *body) plan() ([]point, error) {
	r := &reader{b: b.code, at: b.from}
	points := []point{{at: b.from}}
	cur := 0
	dead := 0 // blocks open since the code cannot be reached
	alive := true
	var in instruction
	for r.left() > 0 {
		if err := r.next(&in); err != nil {
			return nil, err
		}
		if !alive {
			switch in.op {
			case opBlock, opLoop, opIf:
				dead++
				continue
			case opElse:
				if dead > 0 {
					continue
				}
			case opEnd:
				if dead > 0 {
					dead--
					continue
				}
			default:
				continue
			}
			alive = true
		}
		points[cur].cost++
		if in.diverges() {
			alive = false
			dead = 0
			continue
		}
		switch in.op {
		case opLoop, opIf, opElse, opEnd, opBrIf:
			points = append(points, point{at: in.end})
			cur++
		}
	}
	return points, nil
}
