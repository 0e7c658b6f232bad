package codecgen

import (
	"go/ast"
)

// readFields reads an object, or null.
func (e *emitter) readFields(v, names string, fields []field) {
	i := e.local("i")
	e.line("for %s := r.Begin(%s); %s >= 0; %s = r.Next(%s, %s) {\nswitch %s {", i, names, i, i, names, i, i)
	for n, f := range fields {
		e.line("case %d: // %s", n, f.name)
		e.read(v+f.path, f.typ, f.file)
	}
	e.line("}\n}")
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
		e.line("%s", readInt(v, t, k))
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
		names := e.local("names")
		e.line("%s := %s", names, namesLiteral(fields))
		e.readFields(v, names+"[:]", fields)
	case formPointer:
		e.line("if r.Null() {\n%s = nil\n} else {\nif %s == nil {\n%s = new(%s)\n}", v, v, v, e.typeText(k.elem, k.file))
		e.read("(*"+v+")", k.elem, k.file)
		e.line("}")
	case formSlice:
		if e.p.kindOf(k.elem, k.file) == (kind{form: formString, file: k.file}) {
			e.line("r.Texts(%s)", pointer("[]string", v, k))
			return
		}
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

// readInt reads a whole number; the two usual sizes have a method.
func readInt(v string, t ast.Expr, k kind) string {
	if id, ok := t.(*ast.Ident); ok && !k.named {
		switch id.Name {
		case "int":
			return "r.Int(&" + v + ")"
		case "int64":
			return "r.Int64(&" + v + ")"
		}
	}
	return "codec.Int(r, &" + v + ")"
}

func (e *emitter) readMap(v string, k kind) {
	plain := kind{form: formString, file: k.file}
	if e.p.kindOf(k.elem, k.file) == plain && e.p.kindOf(k.key, k.file) == plain {
		e.line("r.TextMap(%s)", pointer("map[string]string", v, k))
		return
	}
	name, elem := e.local("name"), e.local("elem")
	e.line("if r.Null() {\n%s = nil\n} else {\nif %s == nil {\n%s = make(map[%s]%s)\n}", v, v, v, e.typeText(k.key, k.file), e.typeText(k.elem, k.file))
	e.line("for more := r.Object(); more; more = r.NextField() {\n%s := r.Name()\nvar %s %s", name, elem, e.typeText(k.elem, k.file))
	e.read(elem, k.elem, k.file)
	e.line("%s[%s(%s)] = %s\n}\n}", v, e.typeText(k.key, k.file), name, elem)
}
