// Package blob is the host service blob/v1: larger objects that belong to one
// instance (one plugin in one tenant), with a quota. Bytes travel raw, as the
// data of the envelope; objects that do not fit into one call are read and
// written in pieces, through the handles of stream/v1.
package blob

const (
	// Name is the service's name in manifests and calls.
	Name = "blob/v1"

	MethodPut    = "put"    // PutRequest with data -> Object
	MethodGet    = "get"    // GetRequest -> Object with data
	MethodStat   = "stat"   // StatRequest -> StatResponse
	MethodList   = "list"   // ListRequest -> ListResponse
	MethodDelete = "delete" // DeleteRequest -> nothing
	MethodOpen   = "open"   // GetRequest -> OpenResponse; read it with stream/v1
	MethodCreate = "create" // PutRequest -> CreateResponse; write it with stream/v1
	MethodCommit = "commit" // CommitRequest -> Object
)

const (
	// MaxKeyBytes is the longest key.
	MaxKeyBytes = 512
	// MaxInline is the most that put and get carry in one call.
	MaxInline = 4 << 20
	// MaxList is the longest page.
	MaxList = 1000
)

// Object is what is known of an object.
type Object struct {
	Key  string `json:"key"`
	Size int64  `json:"size"`
	// ETag names the content: it changes when, and only when, the bytes or the
	// content type do.
	ETag        string `json:"etag"`
	ContentType string `json:"contentType"`
	// Modified is in RFC 3339.
	Modified string `json:"modified"`
}

// PutRequest stores an object, or replaces it.
type PutRequest struct {
	Key string `json:"key"`
	// ContentType is application/octet-stream if empty.
	ContentType string `json:"contentType,omitempty"`
	// IfMatch, if set, is the ETag that the object must have now, or "none" for
	// an object that must not exist; otherwise it is CodeConflict.
	IfMatch string `json:"ifMatch,omitempty"`
}

// GetRequest names what to read: all of it, or a range.
type GetRequest struct {
	Key string `json:"key"`
	// Offset is where to begin. Length is how much to read at most; 0 means
	// all that follows.
	Offset int64 `json:"offset,omitempty"`
	Length int64 `json:"length,omitempty"`
}

// StatRequest names an object.
type StatRequest struct {
	Key string `json:"key"`
}

// StatResponse has no Object where there is none.
type StatResponse struct {
	Object *Object `json:"object,omitempty"`
}

// ListRequest asks for objects with a prefix, in the byte order of their keys,
// after After.
type ListRequest struct {
	Prefix string `json:"prefix,omitempty"`
	After  string `json:"after,omitempty"`
	Limit  int    `json:"limit,omitempty"` // at most MaxList, 0 means 100
}

// ListResponse is one page of objects.
type ListResponse struct {
	Objects []Object `json:"objects"`
	// Next is what to pass as After for the next page, or empty.
	Next string `json:"next,omitempty"`
}

// DeleteRequest names the object to remove; one that does not exist is no
// error.
type DeleteRequest struct {
	Key string `json:"key"`
}

// OpenResponse describes the object and gives a handle to read the range from.
type OpenResponse struct {
	Object Object `json:"object"`
	Handle int64  `json:"handle"`
}

// CreateResponse gives a handle to write to. Nothing is visible before commit;
// what is not committed when the call ends is dropped.
type CreateResponse struct {
	Handle int64 `json:"handle"`
}

// CommitRequest makes what was written to a handle the object.
type CommitRequest struct {
	Handle int64 `json:"handle"`
}
