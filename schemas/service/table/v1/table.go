// Package table is the host service table/v1: relational collections that
// belong to one instance (one plugin in one tenant). The manifest declares
// them; requests are data, never SQL text, and every value in a request is a
// parameter.
//
// # Values
//
// A value is JSON. What a column's type takes and gives back:
//
//	text       a string of valid UTF-8, sorted by its bytes
//	integer    a whole number from -2^63 to 2^63-1; a string of digits is read too
//	number     a finite IEEE 754 double
//	decimal    a string such as "-12.50": at most 38 significant digits, exact; given back
//	           without needless zeros ("-12.5"). A JSON number is read by its digits
//	boolean    true or false
//	timestamp  a string in RFC 3339; kept as UTC to the microsecond
//	json       any JSON document; it cannot be compared, sorted or indexed
//	bytes      a string in base64
//
// null is a value of every column that is not required. It sorts before all
// others, equals nothing but what IsNull finds, and all comparisons with it are
// false; ne and not are exactly the opposite of eq and of what they hold.
package table

import "encoding/json"

const (
	// Name is the service's name in manifests and calls.
	Name = "table/v1"

	MethodSelect    = "select"    // SelectRequest -> SelectResponse
	MethodAggregate = "aggregate" // AggregateRequest -> AggregateResponse
	MethodInsert    = "insert"    // WriteRequest -> WriteResponse
	MethodUpsert    = "upsert"    // WriteRequest -> WriteResponse
	MethodUpdate    = "update"    // UpdateRequest -> WriteResponse
	MethodDelete    = "delete"    // DeleteRequest -> WriteResponse
	MethodBatch     = "batch"     // BatchRequest -> BatchResponse
)

// The limits of single requests; beyond one is CodeLimit or CodeInvalid.
const (
	MaxRows       = 1000      // rows of one insert or upsert, and of one page
	DefaultRows   = 100       // rows of a page whose request does not say
	MaxPageBytes  = 1 << 20   // a page ends when it has so many bytes, with a cursor
	MaxScan       = 20000     // rows that one request may look at for nothing, or sort, or change
	MaxLook       = 200000    // rows that one request may look at in all
	MaxGroups     = 1000      // groups of one aggregate
	MaxOperations = 100       // operations of one batch
	MaxConditions = 200       // nodes of one where
	MaxIn         = 500       // values of one in
	MaxKeyBytes   = 1024      // an index entry, encoded: bytes of its texts, and a few more
	MaxRowBytes   = 256 << 10 // one row, encoded; blob/v1 is for more
	MaxDepth      = 12        // how deep conditions nest
)

// The operators of Where.
const (
	OpEq     = "eq"
	OpNe     = "ne"
	OpLt     = "lt"
	OpLe     = "le"
	OpGt     = "gt"
	OpGe     = "ge"
	OpIn     = "in"     // Values
	OpPrefix = "prefix" // text and bytes: begins with Value
	OpIsNull = "isNull"
	OpAnd    = "and" // Args
	OpOr     = "or"  // Args
	OpNot    = "not" // the one of Args
)

// Where is a condition: a tree of operators over columns and values. Column may
// be "join.column" for a column of a joined row; one that the join did not find
// is null.
type Where struct {
	Op     string            `json:"op"`
	Column string            `json:"column,omitempty"`
	Value  json.RawMessage   `json:"value,omitempty"`
	Values []json.RawMessage `json:"values,omitempty"`
	Args   []Where           `json:"args,omitempty"`
}

// Order sorts by a column. Rows that are equal in all of them come in an order
// that stays the same from page to page.
type Order struct {
	Column string `json:"column"`
	Desc   bool   `json:"desc,omitempty"`
}

// Join adds the row to which a declared reference leads, as an object under the
// reference's name; null where there is none.
type Join struct {
	Reference string `json:"reference"`
	// Columns of the joined row; all if empty.
	Columns []string `json:"columns,omitempty"`
}

// SelectRequest asks for rows.
type SelectRequest struct {
	Table   string   `json:"table"`
	Columns []string `json:"columns,omitempty"` // all if empty
	Where   *Where   `json:"where,omitempty"`
	Order   []Order  `json:"order,omitempty"`
	Joins   []Join   `json:"joins,omitempty"`
	Limit   int      `json:"limit,omitempty"` // DefaultRows if 0, at most MaxRows
	// Cursor is the Next of the page before, of the same request.
	Cursor string `json:"cursor,omitempty"`
}

// SelectResponse is one page: each row an object of its columns.
type SelectResponse struct {
	Rows []json.RawMessage `json:"rows"`
	// Next is the cursor of the next page, or empty. A page may be shorter than
	// the limit and still have a next one.
	Next string `json:"next,omitempty"`
}

// The functions of Aggregate.
const (
	FnCount = "count" // of rows, or of values that are not null where a column is named
	FnSum   = "sum"   // of an integer, number or decimal column, in its type
	FnMin   = "min"
	FnMax   = "max"
	FnAvg   = "avg" // a number of a number column, else a decimal of 12 places, rounded half to even
)

// Aggregate is one figure of a group. Nulls are left out; of no value at all,
// count is 0 and every other is null.
type Aggregate struct {
	Fn     string `json:"fn"`
	Column string `json:"column,omitempty"` // may be empty for count alone
	// As names the figure in the answer.
	As string `json:"as"`
}

// AggregateRequest asks for figures of groups of rows.
type AggregateRequest struct {
	Table      string      `json:"table"`
	Where      *Where      `json:"where,omitempty"`
	Joins      []Join      `json:"joins,omitempty"`
	GroupBy    []string    `json:"groupBy,omitempty"` // "join.column" too; one group of all rows if empty
	Aggregates []Aggregate `json:"aggregates"`
}

// AggregateResponse has an object for each group, sorted by the group's
// columns: these, and the figures.
type AggregateResponse struct {
	Groups []json.RawMessage `json:"groups"`
}

// WriteRequest inserts rows, each an object of columns. A column that is left
// out takes its default, or null. An upsert changes the row that has the same
// primary key: only the columns that are there.
type WriteRequest struct {
	Table string            `json:"table"`
	Rows  []json.RawMessage `json:"rows"`
}

// UpdateRequest sets columns of all rows that match. Columns of the primary key
// cannot be set.
type UpdateRequest struct {
	Table string          `json:"table"`
	Where *Where          `json:"where,omitempty"`
	Set   json.RawMessage `json:"set"`
	// Expect, if set, is how many rows must match; otherwise it is CodeConflict
	// and nothing changes.
	Expect *int64 `json:"expect,omitempty"`
}

// DeleteRequest removes all rows that match, and what refers to them by a
// reference with cascade.
type DeleteRequest struct {
	Table  string `json:"table"`
	Where  *Where `json:"where,omitempty"`
	Expect *int64 `json:"expect,omitempty"`
}

// WriteResponse says how many rows of the table were written or removed,
// without those that a cascade took along.
type WriteResponse struct {
	Rows int64 `json:"rows"`
}

// Operation is one step of a batch: exactly one field is set.
type Operation struct {
	Insert *WriteRequest  `json:"insert,omitempty"`
	Upsert *WriteRequest  `json:"upsert,omitempty"`
	Update *UpdateRequest `json:"update,omitempty"`
	Delete *DeleteRequest `json:"delete,omitempty"`
}

// BatchRequest runs operations one after another in one transaction: all of
// them, or none.
type BatchRequest struct {
	Operations []Operation `json:"operations"`
}

// BatchResponse has the answer of each operation.
type BatchResponse struct {
	Results []WriteResponse `json:"results"`
}
