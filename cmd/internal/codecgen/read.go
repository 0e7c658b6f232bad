package codecgen

import (
	"go/ast"
	"strconv"
	"strings"
)

func (e *emitter) readStruct(v string, t *ast.StructType, file *source) {
	fields, _ := e.p.fields(t, file)
	e.line("if r.Null() {\nreturn\n}")
	e.readFields(v, fields)
}

// readFields reads an object. A name that no field has exactly is compared
// without regard to case, then skipped.
func (e *emitter) readFields(v string, fields []field) {
	if len(fields) == 0 {
		e.line("for more := r.Object(); more; more = r.NextField() {\n_ = r.Name()\nr.Skip()\n}")
		return
	}
	name, again, known := e.local("name"), e.local("again"), e.local("known")
	names := make([]string, 0, len(fields))
	for _, f := range fields {
		names = append(names, f.name)
	}
	e.line("for more := r.Object(); more; more = r.NextField() {\n%s := r.Name()\n%s:\nswitch %s {", name, again, name)
	for _, f := range fields {
		e.line("case %s:", strconv.Quote(f.name))
		e.read(v+f.path, f.typ, f.file)
	}
	e.line("default:\nif %s := codec.Fold(%s, %s); %s != \"\" {\n%s = %s\ngoto %s\n}\nr.Skip()\n}\n}",
		known, name, strconv.Quote(strings.Join(names, ",")), known, name, known, again)
}

// pointer returns a pointer to v, of the type that a method of the reader takes.
func pointer(basic, v string, k kind) string {
	if k.named {
		return "(*" + basic + ")(&" + v + ")"
	}
	return "&" + v
}

func (e *emitter) read(v string, t ast.Expr, file *source) {
	k := e.p.kindOf(t, file)
	switch k.form {
	case formString:
		e.line("r.String(%s)", pointer("string", v, k))
	case formBool:
		e.line("r.Bool(%s)", pointer("bool", v, k))
	case formInt, formUint:
		e.line("codec.Int(r, &%s)", v)
	case formFloat32:
		e.line("r.Float32(%s)", pointer("float32", v, k))
	case formFloat64:
		e.line("r.Float64(%s)", pointer("float64", v, k))
	case formBytes:
		e.line("r.Base64(%s)", pointer("[]byte", v, k))
	case formDocument:
		e.line("r.Document(&%s)", v)
	case formTime:
		e.line("r.Time(&%s)", v)
	case formStruct:
		if e.p.chosen[k.name] == nil {
			e.line("r.Any(&%s)", v)
		} else {
			e.line("%s.ReadJSON(r)", v)
		}
	case formInline:
		fields, _ := e.p.fields(k.inline, k.file)
		e.line("if !r.Null() {")
		e.readFields(v, fields)
		e.line("}")
	case formPointer:
		e.line("if r.Null() {\n%s = nil\n} else {\nif %s == nil {\n%s = new(%s)\n}", v, v, v, e.typeText(k.elem, k.file))
		e.read("(*"+v+")", k.elem, k.file)
		e.line("}")
	case formSlice:
		s, n := e.local("s"), e.local("n")
		e.line("if r.Null() {\n%s = nil\n} else {\n%s, %s := %s, 0\nfor more := r.Array(); more; more = r.NextElement() {\n%s = codec.Slot(%s, %s)", v, s, n, v, s, s, n)
		e.read(s+"["+n+"]", k.elem, k.file)
		e.line("%s++\n}\n%s = codec.Cut(%s, %s)\n}", n, v, s, n)
	case formMap:
		e.readMap(v, k)
	default:
		e.line("r.Any(&%s)", v)
	}
}

func (e *emitter) readMap(v string, k kind) {
	name, elem := e.local("name"), e.local("elem")
	e.line("if r.Null() {\n%s = nil\n} else {\nif %s == nil {\n%s = make(map[%s]%s)\n}", v, v, v, e.typeText(k.key, k.file), e.typeText(k.elem, k.file))
	e.line("for more := r.Object(); more; more = r.NextField() {\n%s := r.Name()\nvar %s %s", name, elem, e.typeText(k.elem, k.file))
	e.read(elem, k.elem, k.file)
	e.line("%s[%s(%s)] = %s\n}\n}", v, e.typeText(k.key, k.file), name, elem)
}
