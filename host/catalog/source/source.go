// Package source reads catalog documents from where they are: files below
// allowed roots, http(s) addresses, and git repositories over smart HTTP. It
// guards what a tenant may reach: no file outside the roots, no private
// address that the operator did not allow. It knows nothing of entities.
package source

import "context"

// Address is where a document is: a type and a target of that type, as in
// Backstage's "type:target".
type Address struct {
	Type, Target string
}

// String returns "type:target".
func (a Address) String() string { return a.Type + ":" + a.Target }

// File is one document that was read.
type File struct {
	Address Address
	Body    []byte
	// HTML is true where the server called the answer a web page.
	HTML bool
}

// Content is what an address held. An address with wildcards holds any number
// of files.
type Content struct {
	Files []File
	// ETag names this state of the content; the same ETag means that nothing
	// changed.
	ETag string
	// NotModified is true where the content still has the ETag that the caller
	// knows; Files is empty then.
	NotModified bool
}

// Session reads for one refresh: what it fetched once, it need not fetch
// again. It belongs to one goroutine.
type Session interface {
	// Read reads an address; etag is what is known of it, or empty. Errors are
	// *host.Error: CodeNotFound where nothing is there, CodeForbidden where the
	// guard refuses, CodeUpstream where it cannot be reached, CodeTooLarge,
	// CodeInvalid for an address that makes no sense.
	Read(ctx context.Context, at Address, etag string) (Content, error)
	// Resolve returns the address that target means inside of the document at
	// base. typ is the type asked for, or empty for base's own.
	Resolve(base Address, typ, target string) (Address, error)
	// Close frees what the session holds.
	Close()
}
