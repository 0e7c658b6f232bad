package kernel

import (
	"fmt"
	"time"
)

// Kind says which limit ended a call.
type Kind string

// The kinds of Fault.
const (
	// Deadline: the time of the call was over. Limit and Used are nanoseconds
	// since the call began.
	Deadline Kind = "deadline"
	// Cancelled: whoever made the call gave up.
	Cancelled Kind = "cancelled"
	// Memory: the sandbox asked for more memory than it may have, in bytes.
	Memory Kind = "memory"
	// Output: the answer was larger than it may be, in bytes.
	Output Kind = "output"
	// Fuel: the guest executed more than it may, in units of fuel.
	Fuel Kind = "fuel"
	// Stack: the guest called deeper than it may, in frames, or filled the
	// stack that it keeps in its memory.
	Stack Kind = "stack"
	// Storm: the guest went on to call host services after it might not.
	Storm Kind = "storm"
	// Refused: the guest called a function that this host does not serve.
	Refused Kind = "refused"
)

// Fault is why the host ended a call. Host functions panic with it; the engine
// hands it to the caller inside its own error, where errors.As finds it.
type Fault struct {
	Kind Kind
	// Limit and Used are in the unit of the kind, 0 where there is none.
	Limit, Used int64
	// What names the function that was refused.
	What string
}

// Error says which limit it was.
func (f *Fault) Error() string {
	switch f.Kind {
	case Deadline:
		return fmt.Sprintf("the time of the call was over after %s", time.Duration(f.Limit))
	case Cancelled:
		return "the call was given up"
	case Refused:
		return f.What + " is not served by this host"
	}
	if f.Limit == 0 {
		return fmt.Sprintf("the limit of %s was hit", f.Kind)
	}
	return fmt.Sprintf("the limit of %s was hit: %d of %d", f.Kind, f.Used, f.Limit)
}
