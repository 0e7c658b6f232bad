// Package codec reads and writes JSON without reflection, so that a guest's
// wire path costs what its bytes cost. Who needs another format, or a document
// of unknown form, does not belong here.
//
// It accepts what encoding/json accepts and writes what encoding/json writes,
// byte for byte: names are compared without regard to case where no name fits
// exactly, null leaves a value alone, invalid UTF-8 becomes U+FFFD, <, > and &
// are escaped. Only the words of its errors are its own: they name the place as
// a JSON pointer.
//
// A type with a generated description takes the short way; every other value
// goes through encoding/json, so Marshal and Unmarshal take anything.
//
//	//callboard:codec
//	type Build struct {
//		ID    string   `json:"id"`
//		Steps []string `json:"steps,omitempty"`
//	}
//
// "callboard plugin generate" writes the descriptions of types that are marked
// so; "callboard plugin build" does it first. A description is data, a few words
// for each field: code for each field makes a guest a fifth larger.
package codec

import (
	"encoding/json"
	"reflect"
	"unsafe" // for the place of a value that is in an interface
)

// maxDepth is how deep arrays and objects may nest: the bound of encoding/json.
const maxDepth = 10_000

// Marshal returns v as JSON, as json.Marshal does.
func Marshal(v any) ([]byte, error) {
	const usual = 512
	return Append(make([]byte, 0, usual), v)
}

// Append appends v as JSON to dst. After an error the result is dst.
func Append(dst []byte, v any) ([]byte, error) {
	w := writer{buf: dst}
	w.any(v)
	if w.err != nil {
		return dst, w.err
	}
	return w.buf, nil
}

// Unmarshal reads data, which is one JSON value, into v, as json.Unmarshal
// does. Strings that it reads share one copy of data.
func Unmarshal(data []byte, v any) error { return read(reader{}, data, v) }

// UnmarshalTrusted is Unmarshal for data that is known to be JSON, as what a
// host hands to a guest: documents in it (json.RawMessage) are taken without a
// look at their form. Who reads them finds what is wrong with them.
func UnmarshalTrusted(data []byte, v any) error { return read(reader{trusted: true}, data, v) }

// UnmarshalStrict is Unmarshal that refuses fields which v does not have, as a
// json.Decoder with DisallowUnknownFields does. Only a described value can be
// read so.
func UnmarshalStrict(data []byte, v Typed) error { return read(reader{strict: true}, data, v) }

func read(r reader, data []byte, v any) error {
	if t, p := described(v, true); t != nil {
		r.s = string(data)
		r.value(t.Kind, t, p)
		return r.end()
	}
	k, p := plain(v)
	if p == nil {
		return json.Unmarshal(data, v)
	}
	r.s = string(data)
	r.value(k, nil, p)
	return r.end()
}

// plain returns the place of the few values without a description that plugins
// keep most.
func plain(v any) (Kind, unsafe.Pointer) {
	switch v := v.(type) {
	case *string:
		return String, unsafe.Pointer(v)
	case *int:
		return Int64, intPlace(v)
	case *int64:
		return Int64, unsafe.Pointer(v)
	case *json.RawMessage:
		return Document, unsafe.Pointer(v)
	}
	return 0, nil
}

// intPlace is the place of an int where that has 64 bits, as in a guest.
func intPlace(v *int) unsafe.Pointer {
	if unsafe.Sizeof(*v) != 8 {
		return nil
	}
	return unsafe.Pointer(v)
}

// described returns the description of v and where v is, nil where v has none
// of its own: a struct inherits the methods of what it embeds, and theirs say
// nothing of its other fields. Where v is no pointer, it is a copy that is
// returned; with toRead there is nothing for it then.
func described(v any, toRead bool) (*Type, unsafe.Pointer) {
	typed, ok := v.(Typed)
	if !ok {
		return nil, nil
	}
	value := reflect.ValueOf(v)
	if value.Kind() == reflect.Pointer {
		if value.IsNil() {
			return nil, nil
		}
		if t := typed.CodecType(); value.Type().Elem().String() == t.Name {
			return t, value.UnsafePointer()
		}
		return nil, nil
	}
	t := typed.CodecType()
	if toRead || value.Type().String() != t.Name {
		return nil, nil
	}
	copied := reflect.New(value.Type())
	copied.Elem().Set(value)
	return t, copied.UnsafePointer()
}
