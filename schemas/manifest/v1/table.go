package manifest

import "encoding/json"

// The types of a column of table/v1.
const (
	ColumnText      = "text"
	ColumnInteger   = "integer"
	ColumnNumber    = "number"
	ColumnDecimal   = "decimal"
	ColumnBoolean   = "boolean"
	ColumnTimestamp = "timestamp"
	ColumnJSON      = "json"
	ColumnBytes     = "bytes"
)

// What becomes of a row when the row that it refers to is removed.
const (
	OnDeleteRestrict = "restrict"
	OnDeleteCascade  = "cascade"
)

// Table is one table of the permission table/v1.
type Table struct {
	Name    string   `json:"name"`
	Columns []Column `json:"columns"`
	// PrimaryKey are the columns whose values name a row.
	PrimaryKey []string    `json:"primaryKey"`
	Indexes    []Index     `json:"indexes,omitempty"`
	References []Reference `json:"references,omitempty"`
}

// Column is one column of a Table.
type Column struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Required bool   `json:"required,omitempty"`
	// Default is the value of rows that do not name the column.
	Default json.RawMessage `json:"default,omitempty"`
}

// Index is what queries look up or sort by, beside the primary key.
type Index struct {
	// Name is the columns joined by "_" if it is empty.
	Name    string   `json:"name,omitempty"`
	Columns []string `json:"columns"`
	Unique  bool     `json:"unique,omitempty"`
}

// Reference says that columns hold the primary key of a row of Table.
type Reference struct {
	Name     string   `json:"name"`
	Columns  []string `json:"columns"`
	Table    string   `json:"table"`
	OnDelete string   `json:"onDelete,omitempty"` // restrict if empty
}

// Migration holds the steps to Version from the one before it.
type Migration struct {
	Version int             `json:"version"`
	Steps   []MigrationStep `json:"steps"`
}

// What a MigrationStep does.
const (
	StepAddTable     = "addTable"
	StepDropTable    = "dropTable"
	StepRenameTable  = "renameTable"
	StepAddColumn    = "addColumn" // its type and default are those of the declared table
	StepDropColumn   = "dropColumn"
	StepRenameColumn = "renameColumn"
	StepBackfill     = "backfill"
	StepAddIndex     = "addIndex" // its columns are those of the declared table
	StepDropIndex    = "dropIndex"
)

// MigrationStep is one change of the tables. Which of the other fields apply
// depends on Do.
type MigrationStep struct {
	Do     string          `json:"do"`
	Table  string          `json:"table"`
	Column string          `json:"column,omitempty"`
	To     string          `json:"to,omitempty"`
	Index  string          `json:"index,omitempty"`
	Value  json.RawMessage `json:"value,omitempty"`
	From   string          `json:"from,omitempty"`
}
