// Package codec reads and writes JSON without reflection: what generated
// methods are made of, so that a guest's wire path costs what its bytes cost.
// Who needs another format, or a document of unknown form, does not belong
// here.
//
// It accepts what encoding/json accepts and writes what encoding/json writes,
// byte for byte: names are compared without regard to case where no name fits
// exactly, null leaves a value alone, invalid UTF-8 becomes U+FFFD, <, > and &
// are escaped. Only the words of its errors are its own: they name the place as
// a JSON pointer.
//
// A type with the methods of Object takes the short way; every other value goes
// through encoding/json, so Marshal and Unmarshal take anything.
//
//	//callboard:codec
//	type Build struct {
//		ID    string   `json:"id"`
//		Steps []string `json:"steps,omitempty"`
//	}
//
// "callboard plugin generate" writes the methods for types that are marked so;
// "callboard plugin build" does it first.
package codec

import (
	"encoding/json"
	"reflect"
)

// Appender is a value that writes itself as JSON.
type Appender interface {
	Named
	// WriteJSON writes one JSON value to w. What fails is kept by w.
	WriteJSON(w *Writer)
}

// Parser is a value that reads itself from JSON.
type Parser interface {
	Named
	// ReadJSON reads one JSON value from r into itself. What fails is kept by r.
	ReadJSON(r *Reader)
}

// Named says for which type methods were generated. A struct that embeds such
// a type inherits its methods, and they would leave out all its other fields;
// by the name that is noticed, and encoding/json serves the struct.
type Named interface {
	// CodecType returns the type's name with its package's, as reflect has it.
	CodecType() string
}

// maxDepth is how deep arrays and objects may nest: the bound of encoding/json.
const maxDepth = 10_000

// Marshal returns v as JSON, as json.Marshal does.
func Marshal(v any) ([]byte, error) { return Append(nil, v) }

// Append appends v as JSON to dst. After an error the result is dst.
func Append(dst []byte, v any) ([]byte, error) {
	w := Writer{buf: dst}
	if dst == nil {
		w.buf = make([]byte, 0, 512)
	}
	w.Any(v)
	if w.err != nil {
		return dst, w.err
	}
	return w.buf, nil
}

// Unmarshal reads data, which is one JSON value, into v, as json.Unmarshal
// does. Strings that it reads share one copy of data.
func Unmarshal(data []byte, v any) error {
	p, ok := v.(Parser)
	if !ok || !owns(p) {
		return fallback(data, v)
	}
	r := Reader{s: string(data)}
	p.ReadJSON(&r)
	return r.End()
}

// fallback is the way of values without methods of their own. The few plain
// ones that plugins keep most go without reflection.
func fallback(data []byte, v any) error {
	r := Reader{}
	switch v := v.(type) {
	case *string:
		if v != nil {
			r.s = string(data)
			r.String(v)
			return r.End()
		}
	case *int:
		if v != nil {
			r.s = string(data)
			r.Int(v)
			return r.End()
		}
	case *int64:
		if v != nil {
			r.s = string(data)
			r.Int64(v)
			return r.End()
		}
	case *json.RawMessage:
		if v != nil {
			r.s = string(data)
			r.Document(v)
			return r.End()
		}
	}
	return json.Unmarshal(data, v)
}

// owns reports whether v is no nil pointer and its methods are its own.
func owns(v Named) bool {
	t := reflect.ValueOf(v)
	if t.Kind() != reflect.Pointer {
		return t.Type().String() == v.CodecType()
	}
	return !t.IsNil() && t.Type().Elem().String() == v.CodecType()
}
