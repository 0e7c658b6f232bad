// Package plugin is the envelope of ABI 2: the messages of ABI 1 (package
// plugin of schemas/plugin/v1) in a binary form that any language reads and
// writes in a few lines, and that carries a body and raw data as they are.
//
// A message is a head of three bytes and fields until its end:
//
//	0xCB  version  kind          version is 2; kind is 1 Call, 2 Result, 3 HostCall
//	tag  length  value           one byte, four bytes (unsigned, little endian), length bytes
//
// The tags of a message ascend, so none is there twice. A reader skips tags
// that it does not know: new fields get higher tags and break nobody. A field
// that is empty or zero is left out. Texts are UTF-8; numbers are eight bytes,
// little endian, two's complement; a truth value is one byte, 0 or 1; a body is
// JSON, which this package passes on without looking into it.
//
//	Call      1 capability  2 method  3 tenant  4 caller.kind  5 caller.name  6 caller.role
//	          7 caller.ref  8 traceparent  9 deadlineMillis (number)  10 body  11 data
//	Result    1 body  2 data  3 error (fields of its own)
//	error     1 code  2 message  3 hint  4 retryAfterSeconds (number)  5 retryable (truth value)
//	HostCall  1 service  2 method  3 body  4 data
//
// The first byte of a message of ABI 1 is never 0xCB, so a reader of both tells
// them apart by it: Is does.
//
// Compatibility: tags and their meaning stay for ever. The golden messages in
// testdata are part of the promise.
package plugin

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	v1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// ABI is the version of the envelope that this package writes.
const ABI = 2

// ExportABI is the function by which a guest says the highest ABI that it
// speaks: no arguments, one i32. A guest without it speaks ABI 1.
const ExportABI = "callboard_abi"

// The head of a message.
const (
	mark     = 0xCB
	headSize = 3
	// fieldHead is the size of a field without its value.
	fieldHead = 5
)

type kind byte

const (
	kindCall     kind = 1
	kindResult   kind = 2
	kindHostCall kind = 3
)

// Is reports whether a message is one of this envelope, of any version. What
// it says no to is a message of ABI 1, or none.
func Is(message []byte) bool { return len(message) > 0 && message[0] == mark }

// AppendCall appends the call to dst. Its ABI is written as 2, whatever it is.
// A part of 4 GiB or more is left out, as no reader could take it.
func AppendCall(dst []byte, c v1.Call) []byte {
	dst = append(dst, mark, ABI, byte(kindCall))
	dst = appendText(dst, 1, c.Capability)
	dst = appendText(dst, 2, c.Method)
	dst = appendText(dst, 3, c.Tenant)
	dst = appendText(dst, 4, c.Caller.Kind)
	dst = appendText(dst, 5, c.Caller.Name)
	dst = appendText(dst, 6, c.Caller.Role)
	dst = appendText(dst, 7, c.Caller.Ref)
	dst = appendText(dst, 8, c.Traceparent)
	dst = appendNumber(dst, 9, c.DeadlineMillis)
	dst = appendBytes(dst, 10, c.Body)
	return appendBytes(dst, 11, c.Data)
}

// AppendResult appends the result to dst.
func AppendResult(dst []byte, r v1.Result) []byte {
	dst = append(dst, mark, ABI, byte(kindResult))
	dst = appendBytes(dst, 1, r.Body)
	dst = appendBytes(dst, 2, r.Data)
	if r.Error == nil {
		return dst
	}
	dst = append(dst, 3, 0, 0, 0, 0)
	at := len(dst)
	dst = appendText(dst, 1, r.Error.Code)
	dst = appendText(dst, 2, r.Error.Message)
	dst = appendText(dst, 3, r.Error.Hint)
	dst = appendNumber(dst, 4, int64(r.Error.RetryAfterSeconds))
	if r.Error.Retryable != nil {
		dst = append(dst, 5, 1, 0, 0, 0, truth(*r.Error.Retryable))
	}
	binary.LittleEndian.PutUint32(dst[at-4:], uint32(len(dst)-at)) //nolint:gosec // four texts, each below 4 GiB; an error of more is no error
	return dst
}

// AppendHostCall appends the host call to dst.
func AppendHostCall(dst []byte, c v1.HostCall) []byte {
	dst = append(dst, mark, ABI, byte(kindHostCall))
	dst = appendText(dst, 1, c.Service)
	dst = appendText(dst, 2, c.Method)
	dst = appendBytes(dst, 3, c.Body)
	return appendBytes(dst, 4, c.Data)
}

func truth(v bool) byte {
	if v {
		return 1
	}
	return 0
}

func appendText(dst []byte, tag byte, v string) []byte {
	if len(v) == 0 || uint64(len(v)) > math.MaxUint32 {
		return dst
	}
	dst = append(dst, tag)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(v))) //nolint:gosec // checked above
	return append(dst, v...)
}

func appendBytes(dst []byte, tag byte, v []byte) []byte {
	if len(v) == 0 || uint64(len(v)) > math.MaxUint32 {
		return dst
	}
	dst = append(dst, tag)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(v))) //nolint:gosec // checked above
	return append(dst, v...)
}

func appendNumber(dst []byte, tag byte, v int64) []byte {
	if v == 0 {
		return dst
	}
	dst = append(dst, tag, 8, 0, 0, 0)
	return binary.LittleEndian.AppendUint64(dst, uint64(v)) //nolint:gosec // two's complement is the form on the wire
}

// ParseCall reads a call. Body and Data are parts of message, not copies.
func ParseCall(message []byte) (v1.Call, error) {
	f := open(message, kindCall)
	c := v1.Call{ABI: ABI}
	for f.next() {
		switch f.tag {
		case 1:
			c.Capability = f.text()
		case 2:
			c.Method = f.text()
		case 3:
			c.Tenant = f.text()
		case 4:
			c.Caller.Kind = f.text()
		case 5:
			c.Caller.Name = f.text()
		case 6:
			c.Caller.Role = f.text()
		case 7:
			c.Caller.Ref = f.text()
		case 8:
			c.Traceparent = f.text()
		case 9:
			c.DeadlineMillis = f.number()
		case 10:
			c.Body = f.bytes()
		case 11:
			c.Data = f.bytes()
		}
	}
	if f.err != nil {
		return v1.Call{}, f.err
	}
	return c, nil
}

// ParseResult reads a result. Body and Data are parts of message, not copies.
func ParseResult(message []byte) (v1.Result, error) {
	f := open(message, kindResult)
	var r v1.Result
	for f.next() {
		switch f.tag {
		case 1:
			r.Body = f.bytes()
		case 2:
			r.Data = f.bytes()
		case 3:
			r.Error = f.failure()
		}
	}
	if f.err != nil {
		return v1.Result{}, f.err
	}
	return r, nil
}

// ParseHostCall reads a host call. Body and Data are parts of message, not
// copies.
func ParseHostCall(message []byte) (v1.HostCall, error) {
	f := open(message, kindHostCall)
	var c v1.HostCall
	for f.next() {
		switch f.tag {
		case 1:
			c.Service = f.text()
		case 2:
			c.Method = f.text()
		case 3:
			c.Body = f.bytes()
		case 4:
			c.Data = f.bytes()
		}
	}
	if f.err != nil {
		return v1.HostCall{}, f.err
	}
	return c, nil
}

// The ways in which a message can be wrong.
var (
	// ErrNoMessage means that the bytes are not a message of this envelope.
	ErrNoMessage = errors.New("not a message of ABI 2")
	// ErrCut means that a message ends inside a field.
	ErrCut = errors.New("the message ends inside a field")
	// ErrOrder means that a tag is not above the one before.
	ErrOrder = errors.New("the tags of a message must ascend")
	// ErrValue means that a value does not have the form of its field.
	ErrValue = errors.New("a value is not of its field's form")
)

// VersionError says that a message is of a version that this package does not
// read.
type VersionError struct{ Version int }

// Error returns the version and what is read instead.
func (e *VersionError) Error() string {
	return fmt.Sprintf("the message is of ABI %d, and ABI %d is read here", e.Version, ABI)
}

// fields walks the fields of a message.
type fields struct {
	rest  []byte
	tag   byte
	value []byte
	err   error
}

// open checks the head of a message.
func open(message []byte, want kind) fields {
	switch {
	case len(message) < headSize || message[0] != mark:
		return fields{err: ErrNoMessage}
	case message[1] != ABI:
		return fields{err: &VersionError{Version: int(message[1])}}
	case kind(message[2]) != want:
		return fields{err: fmt.Errorf("%w: it is of kind %d, want %d", ErrNoMessage, message[2], want)}
	}
	return fields{rest: message[headSize:]}
}

// next moves to the next field; false at the end and at an error.
func (f *fields) next() bool {
	if f.err != nil || len(f.rest) == 0 {
		return false
	}
	if len(f.rest) < fieldHead {
		f.err = ErrCut
		return false
	}
	tag, n := f.rest[0], binary.LittleEndian.Uint32(f.rest[1:])
	switch {
	case tag <= f.tag:
		f.err = fmt.Errorf("%w: %d after %d", ErrOrder, tag, f.tag)
		return false
	case uint64(n) > uint64(len(f.rest)-fieldHead):
		f.err = fmt.Errorf("%w: field %d has %d bytes, %d are left", ErrCut, tag, n, len(f.rest)-fieldHead)
		return false
	}
	end := fieldHead + int(n)
	f.tag, f.value, f.rest = tag, f.rest[fieldHead:end:end], f.rest[end:]
	return true
}

func (f *fields) wrong(what string) {
	if f.err == nil {
		f.err = fmt.Errorf("%w: field %d is not %s", ErrValue, f.tag, what)
	}
}

func (f *fields) text() string {
	if !utf8.Valid(f.value) {
		f.wrong("UTF-8")
		return ""
	}
	return string(f.value)
}

func (f *fields) bytes() json.RawMessage { return f.value }

func (f *fields) number() int64 {
	if len(f.value) != 8 {
		f.wrong("a number of eight bytes")
		return 0
	}
	return int64(binary.LittleEndian.Uint64(f.value)) //nolint:gosec // two's complement is the form on the wire
}

func (f *fields) truth() *bool {
	if len(f.value) != 1 || f.value[0] > 1 {
		f.wrong("0 or 1")
		return nil
	}
	v := f.value[0] == 1
	return &v
}

// failure reads the error of a result.
func (f *fields) failure() *v1.Error {
	e := &v1.Error{}
	in := fields{rest: f.value}
	for in.next() {
		switch in.tag {
		case 1:
			e.Code = in.text()
		case 2:
			e.Message = in.text()
		case 3:
			e.Hint = in.text()
		case 4:
			n := in.number()
			if int64(int32(n)) != n { //nolint:gosec // that is the check
				in.wrong("a number of seconds")
			}
			e.RetryAfterSeconds = int(n)
		case 5:
			e.Retryable = in.truth()
		}
	}
	if in.err != nil {
		f.err = fmt.Errorf("in the error: %w", in.err)
	}
	return e
}
