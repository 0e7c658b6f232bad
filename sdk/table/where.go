package table

import (
	"encoding/json"

	v1 "github.com/callboard-dev/callboard/schemas/service/table/v1"
)

// Where is a condition on rows. nil holds for all.
type Where = v1.Where

// Eq holds where the column equals the value.
func Eq(column string, value any) *Where { return leaf(v1.OpEq, column, value) }

// Ne holds where it does not, nulls included.
func Ne(column string, value any) *Where { return leaf(v1.OpNe, column, value) }

// Lt holds where the column is less than the value.
func Lt(column string, value any) *Where { return leaf(v1.OpLt, column, value) }

// Le holds where the column is less than the value, or equal.
func Le(column string, value any) *Where { return leaf(v1.OpLe, column, value) }

// Gt holds where the column is greater than the value.
func Gt(column string, value any) *Where { return leaf(v1.OpGt, column, value) }

// Ge holds where the column is greater than the value, or equal.
func Ge(column string, value any) *Where { return leaf(v1.OpGe, column, value) }

// Prefix holds where the text or bytes of the column begin with the value.
func Prefix(column string, value any) *Where { return leaf(v1.OpPrefix, column, value) }

// In holds where the column equals one of the values.
func In[T any](column string, values ...T) *Where {
	w := &Where{Op: v1.OpIn, Column: column}
	for _, v := range values {
		w.Values = append(w.Values, encode(v))
	}
	return w
}

// IsNull holds where the column is null.
func IsNull(column string) *Where { return &Where{Op: v1.OpIsNull, Column: column} }

// And holds where all of the conditions do.
func And(args ...*Where) *Where { return group(v1.OpAnd, args) }

// Or holds where one of the conditions does.
func Or(args ...*Where) *Where { return group(v1.OpOr, args) }

// Not holds where the condition does not.
func Not(arg *Where) *Where { return group(v1.OpNot, []*Where{arg}) }

func leaf(op, column string, value any) *Where {
	return &Where{Op: op, Column: column, Value: encode(value)}
}

// encode writes a value; one that JSON cannot hold becomes null, which the host
// refuses to compare with.
func encode(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage("null")
	}
	return b
}

func group(op string, args []*Where) *Where {
	w := &Where{Op: op}
	for _, a := range args {
		if a != nil {
			w.Args = append(w.Args, *a)
		}
	}
	return w
}
