package codecgen

import (
	"go/ast"
)

// form is how a type is read and written.
type form int

const (
	formAny    form = iota // by its own methods at run time, or encoding/json
	formString             // and so on: the basic types
	formBool
	formInt
	formUint
	formFloat32
	formFloat64
	formBytes    // []byte, in base64
	formDocument // json.RawMessage
	formTime     // time.Time
	formStruct   // a struct of the package
	formInline   // a struct without a name
	formPointer
	formSlice
	formMap
)

// kind is what a type is, seen through its names.
type kind struct {
	form form
	// named is true where the type has a name of its own, so that a pointer
	// to it needs a conversion.
	named bool
	// nilable is true for an interface: it is empty where it is nil.
	nilable bool
	elem    ast.Expr // of a pointer, slice or map
	key     ast.Expr // of a map
	inline  *ast.StructType
	name    string // of a struct of the package
	file    *source
}

// basics are the predeclared types.
func basics() map[string]form {
	return map[string]form{
		"string": formString, "bool": formBool, "float32": formFloat32, "float64": formFloat64,
		"int": formInt, "int8": formInt, "int16": formInt, "int32": formInt, "int64": formInt, "rune": formInt,
		"uint": formUint, "uint8": formUint, "uint16": formUint, "uint32": formUint, "uint64": formUint, "byte": formUint, "uintptr": formUint,
	}
}

// kindOf looks through the names of a type. A named type of the package that
// was not chosen, or has methods of its own, is left to run time.
func (p *pack) kindOf(t ast.Expr, file *source) kind {
	switch t := t.(type) {
	case *ast.ParenExpr:
		return p.kindOf(t.X, file)
	case *ast.Ident:
		return p.kindOfName(t, file)
	case *ast.SelectorExpr:
		return kindOfForeign(t, file)
	case *ast.StarExpr:
		return kind{form: formPointer, elem: t.X, file: file}
	case *ast.StructType:
		return kind{form: formInline, inline: t, file: file}
	case *ast.InterfaceType:
		return kind{nilable: true, file: file}
	case *ast.ArrayType:
		return p.kindOfSlice(t, file)
	case *ast.MapType:
		if k := p.kindOf(t.Key, file); k.form != formString {
			return kind{nilable: true, file: file}
		}
		return kind{form: formMap, elem: t.Value, key: t.Key, file: file}
	}
	return kind{file: file}
}

func (p *pack) kindOfSlice(t *ast.ArrayType, file *source) kind {
	if t.Len != nil {
		return kind{file: file}
	}
	if id, ok := t.Elt.(*ast.Ident); ok && (id.Name == "byte" || id.Name == "uint8") && p.types[id.Name] == nil {
		return kind{form: formBytes, file: file}
	}
	if k := p.kindOf(t.Elt, file); k.form == formUint && k.named {
		return kind{file: file} // a slice of named bytes is base64, too
	}
	return kind{form: formSlice, elem: t.Elt, file: file}
}

func (p *pack) kindOfName(t *ast.Ident, file *source) kind {
	d := p.types[t.Name]
	if d == nil {
		if f, ok := basics()[t.Name]; ok {
			return kind{form: f, file: file}
		}
		return kind{nilable: t.Name == "any" || t.Name == "error", file: file}
	}
	if d.own || d.spec.TypeParams != nil {
		return kind{file: d.file}
	}
	if d.spec.Assign.IsValid() {
		return p.kindOf(d.spec.Type, d.file)
	}
	if _, isStruct := d.spec.Type.(*ast.StructType); isStruct {
		return kind{form: formStruct, name: d.name, file: d.file}
	}
	k := p.kindOf(d.spec.Type, d.file)
	k.named = true
	if k.form == formPointer || k.form == formDocument || k.form == formTime {
		// A new name does not inherit the methods of what it names.
		return kind{file: d.file}
	}
	return k
}

func kindOfForeign(t *ast.SelectorExpr, file *source) kind {
	id, ok := t.X.(*ast.Ident)
	if !ok {
		return kind{file: file}
	}
	switch file.imports[id.Name] + "." + t.Sel.Name {
	case "encoding/json.RawMessage":
		return kind{form: formDocument, file: file}
	case "time.Time":
		return kind{form: formTime, file: file}
	}
	return kind{file: file}
}

// baseOf is the predeclared type behind the names of a basic type, else "".
func (p *pack) baseOf(t ast.Expr, file *source) string {
	id, ok := t.(*ast.Ident)
	if !ok {
		return ""
	}
	if d := p.types[id.Name]; d != nil {
		return p.baseOf(d.spec.Type, d.file)
	}
	return id.Name
}
