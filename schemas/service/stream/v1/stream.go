// Package stream is the host service stream/v1: bodies that do not fit into one
// call. A handle is a number that the host gave within the same call, by a
// service (blob/v1, http/v1) or for an operation that streams (route/v1); it is
// good for that call alone. Bytes travel raw, as the data of the envelope.
//
// Reading waits for the sender and writing for the receiver, so neither side
// can be flooded; the call's deadline ends both.
package stream

const (
	// Name is the service's name in calls. It needs no permission: what can be
	// opened is decided where the handle comes from.
	Name = "stream/v1"

	MethodRead  = "read"  // ReadRequest -> ReadResponse with data
	MethodWrite = "write" // WriteRequest with data -> nothing
	MethodBegin = "begin" // BeginRequest -> nothing
	MethodClose = "close" // CloseRequest -> nothing
)

const (
	// MaxChunk is the most that one read or write carries.
	MaxChunk = 1 << 20
	// DefaultChunk is a read's size where it does not say.
	DefaultChunk = 64 << 10
	// MaxHandles is how many handles a call may have at a time.
	MaxHandles = 16
)

// The handles of an operation of route/v1 that streams.
const (
	HandleRequest  int64 = 1 // read the body of the request
	HandleResponse int64 = 2 // write the body of the response
)

// ReadRequest asks for the next bytes.
type ReadRequest struct {
	Handle int64 `json:"handle"`
	Max    int   `json:"max,omitempty"`
}

// ReadResponse has EOF set after the last byte; the data of that answer count
// too.
type ReadResponse struct {
	EOF bool `json:"eof,omitempty"`
}

// WriteRequest writes the data, all of it or with an error.
type WriteRequest struct {
	Handle int64 `json:"handle"`
}

// BeginRequest sends the head of a streamed response, before its first byte.
// Without it the first byte sends the status 200 and the first content type
// that the manifest declares for it. Status and content type must be declared.
type BeginRequest struct {
	Handle      int64             `json:"handle"`
	Status      int               `json:"status"`
	ContentType string            `json:"contentType,omitempty"`
	Header      map[string]string `json:"header,omitempty"`
}

// CloseRequest gives a handle back. The host closes those that are left when
// the call ends.
type CloseRequest struct {
	Handle int64 `json:"handle"`
}
