package codecgen

import (
	"go/ast"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// field is one field of a struct as JSON has it.
type field struct {
	name string // in JSON
	path string // in Go, behind the value: ".Cell.Text"
	typ  ast.Expr
	file *source
	// omitEmpty and omitZero are the options of its tag.
	omitEmpty, omitZero bool
	tagged              bool
	depth               int
	order               []int
}

// fields returns the fields of a struct by the rules of encoding/json: those
// of embedded structs are promoted, the least deep wins, then the tagged one.
func (p *pack) fields(t *ast.StructType, file *source) ([]field, *reason) {
	all, why := p.collect(t, file, "", 0, nil, nil)
	if why != nil {
		return nil, why
	}
	byName := map[string][]field{}
	for _, f := range all {
		byName[f.name] = append(byName[f.name], f)
	}
	var out []field
	for _, name := range sorted(byName) {
		if f, ok := dominant(byName[name]); ok {
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b field) int { return slices.Compare(a.order, b.order) })
	return out, nil
}

// dominant returns the field that wins a name; two equals hide one another.
func dominant(same []field) (field, bool) {
	slices.SortStableFunc(same, func(a, b field) int {
		if a.depth != b.depth {
			return a.depth - b.depth
		}
		if a.tagged != b.tagged {
			if a.tagged {
				return -1
			}
			return 1
		}
		return 0
	})
	if len(same) > 1 && same[0].depth == same[1].depth && same[0].tagged == same[1].tagged {
		return field{}, false
	}
	return same[0], true
}

// collect lists the fields of a struct and of those embedded in it.
func (p *pack) collect(t *ast.StructType, file *source, path string, depth int, order []int, above []string) ([]field, *reason) {
	var out []field
	index := 0
	for _, f := range t.Fields.List {
		tag := ""
		if f.Tag != nil {
			tag = reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("json")
		}
		names := f.Names
		if len(names) == 0 {
			at := append(slices.Clone(order), index)
			index++
			more, why := p.embedded(f, tag, file, path, depth, at, above)
			if why != nil {
				return nil, why
			}
			out = append(out, more...)
			continue
		}
		for _, id := range names {
			at := append(slices.Clone(order), index)
			index++
			if !id.IsExported() || tag == "-" {
				continue
			}
			one, why := newField(id.Name, tag, f, file)
			if why != nil {
				return nil, why
			}
			one.path, one.depth, one.order = path+"."+id.Name, depth, at
			out = append(out, one)
		}
	}
	return out, nil
}

// newField reads a tag.
func newField(goName, tag string, f *ast.Field, file *source) (field, *reason) {
	name, options, _ := strings.Cut(tag, ",")
	out := field{name: name, typ: f.Type, file: file, tagged: true}
	if !validName(name) {
		out.name, out.tagged = goName, false
	}
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "omitempty":
			out.omitEmpty = true
		case "omitzero":
			out.omitZero = true
		case "string":
			return field{}, because(f.Pos(), "its field %s has the option string", goName)
		}
	}
	return out, nil
}

// embedded returns what an embedded field stands for.
func (p *pack) embedded(f *ast.Field, tag string, file *source, path string, depth int, order []int, above []string) ([]field, *reason) {
	if tag == "-" {
		return nil, nil
	}
	id, ok := f.Type.(*ast.Ident)
	if !ok || p.types[id.Name] == nil {
		return nil, because(f.Pos(), "it embeds a pointer or a type of another package")
	}
	d := p.types[id.Name]
	t, ok := d.spec.Type.(*ast.StructType)
	if !ok || d.own || d.spec.Assign.IsValid() {
		return nil, because(f.Pos(), "it embeds %s, which is no plain struct", id.Name)
	}
	if name, _, _ := strings.Cut(tag, ","); validName(name) {
		if !id.IsExported() {
			return nil, nil
		}
		one, why := newField(id.Name, tag, f, file)
		one.path, one.depth, one.order = path+"."+id.Name, depth, order
		return []field{one}, why
	}
	if slices.Contains(above, id.Name) {
		return nil, because(f.Pos(), "it embeds itself")
	}
	return p.collect(t, d.file, path+"."+id.Name, depth+1, order, append(slices.Clone(above), id.Name))
}

// validName is encoding/json's rule for the name in a tag.
func validName(s string) bool {
	if s == "" {
		return false
	}
	for _, c := range s {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return false
		}
	}
	return true
}

// unfit says why a type cannot have methods, nil if it can.
func (p *pack) unfit(d *declared) *reason {
	switch {
	case d.own:
		return because(d.spec.Pos(), "it has JSON methods of its own")
	case d.spec.TypeParams != nil:
		return because(d.spec.Pos(), "it has type parameters")
	case d.spec.Assign.IsValid():
		return because(d.spec.Pos(), "it is another name of a type")
	}
	switch t := d.spec.Type.(type) {
	case *ast.StructType:
		return p.unfitStruct(t, d.file)
	case *ast.ArrayType, *ast.MapType:
		if k := p.kindOf(t, d.file); k.form == formAny {
			return because(d.spec.Pos(), "only encoding/json can serve what it is made of")
		}
		return nil
	}
	return because(d.spec.Pos(), "it is neither a struct nor a slice nor a map")
}

func (p *pack) unfitStruct(t *ast.StructType, file *source) *reason {
	fields, why := p.fields(t, file)
	if why != nil {
		return why
	}
	for _, f := range fields {
		k := p.kindOf(f.typ, f.file)
		if f.omitEmpty && k.form == formAny && !k.nilable {
			return because(f.typ.Pos(), "whether its field %s is empty is known to encoding/json alone", f.name)
		}
		if f.omitZero && (k.form == formAny && !k.nilable || k.form == formStruct || k.form == formInline) {
			return because(f.typ.Pos(), "whether its field %s is zero is known to encoding/json alone", f.name)
		}
		if k.form == formInline {
			if why := p.unfitStruct(k.inline, k.file); why != nil {
				return why
			}
		}
	}
	return nil
}
