package codec

import (
	"encoding/json"
	"time"
)

// The methods below write one field of an object: name is a comma, the name in
// quotes and a colon, and with omit a field that is empty is left out. They
// save the generated methods a call and a condition for each field.

// Text writes a field with a string.
func (w *Writer) Text(name, v string, omit bool) {
	if omit && v == "" {
		return
	}
	w.buf = append(w.buf, name...)
	w.String(v)
}

// Number writes a field with a number.
func (w *Writer) Number(name string, v int64, omit bool) {
	if omit && v == 0 {
		return
	}
	w.buf = append(w.buf, name...)
	w.Int(v)
}

// Float writes a field with a number.
func (w *Writer) Float(name string, v float64, omit bool) {
	if omit && v == 0 {
		return
	}
	w.buf = append(w.buf, name...)
	w.Float64(v)
}

// Truth writes a field with a truth value.
func (w *Writer) Truth(name string, v, omit bool) {
	if omit && !v {
		return
	}
	w.buf = append(w.buf, name...)
	w.Bool(v)
}

// Blob writes a field with bytes in base64.
func (w *Writer) Blob(name string, v []byte, omit bool) {
	if omit && len(v) == 0 {
		return
	}
	w.buf = append(w.buf, name...)
	w.Base64(v)
}

// JSON writes a field with a document.
func (w *Writer) JSON(name string, v json.RawMessage, omit bool) {
	if omit && len(v) == 0 {
		return
	}
	w.buf = append(w.buf, name...)
	w.Document(v)
}

// Moment writes a field with a time; omit leaves the zero time out.
func (w *Writer) Moment(name string, v time.Time, omit bool) {
	if omit && v.IsZero() {
		return
	}
	w.buf = append(w.buf, name...)
	w.Time(v)
}

// Texts writes a field with a list of strings.
func (w *Writer) Texts(name string, v []string, omit bool) {
	if omit && len(v) == 0 {
		return
	}
	w.buf = append(w.buf, name...)
	if v == nil {
		w.Null()
		return
	}
	at := w.Open()
	for _, s := range v {
		w.Comma()
		w.String(s)
	}
	w.Array(at)
}

// TextMap writes a field with strings by name.
func (w *Writer) TextMap(name string, v map[string]string, omit bool) {
	if omit && len(v) == 0 {
		return
	}
	w.buf = append(w.buf, name...)
	w.texts(v)
}

// Begin takes null, for which it returns -1, or the beginning of an object. It
// returns the index in names of the first field that is there, and -1 at the
// object's end. A name that is not there exactly is compared without regard to
// case; fields of other names are skipped.
//
//	for i := r.Begin(names); i >= 0; i = r.Next(names, i) {
//		switch i { ... }
//	}
func (r *Reader) Begin(names []string) int {
	if r.Null() || !r.Object() {
		return -1
	}
	return r.find(names, -1)
}

// Next returns the index in names of the next field, and -1 at the object's
// end. After is the index that came before: fields mostly come in order.
func (r *Reader) Next(names []string, after int) int {
	if !r.NextField() {
		return -1
	}
	return r.find(names, after)
}

func (r *Reader) find(names []string, after int) int {
	for {
		name := r.Name()
		if r.err != nil {
			return -1
		}
		for n := range names {
			i := after + 1 + n
			if i >= len(names) {
				i -= len(names)
			}
			if names[i] == name {
				return i
			}
		}
		if i := fold(names, name); i >= 0 {
			return i
		}
		r.Skip()
		if !r.NextField() {
			return -1
		}
	}
}

// Texts reads a list of strings.
func (r *Reader) Texts(p *[]string) {
	if r.err != nil || r.Null() {
		if r.err == nil {
			*p = nil
		}
		return
	}
	s, n := *p, 0
	for more := r.Array(); more; more = r.NextElement() {
		s = Slot(s, n)
		r.String(&s[n])
		n++
	}
	*p = Cut(s, n)
}

// TextMap reads strings by name.
func (r *Reader) TextMap(p *map[string]string) {
	if r.err != nil || r.Null() {
		if r.err == nil {
			*p = nil
		}
		return
	}
	if *p == nil {
		*p = make(map[string]string)
	}
	for more := r.Object(); more; more = r.NextField() {
		name, v := r.Name(), ""
		r.String(&v)
		(*p)[name] = v
	}
}
