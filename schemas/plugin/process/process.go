// Package process is how a host and a plugin that runs as a process of its own
// find and understand each other. The guest is a go-plugin server: handshake
// on its standard output, AutoMTLS, a unix socket, gRPC. Beside go-plugin's own
// services it serves one method, Guest.Call of guest.proto, which is one call
// of the envelope: a stream of messages of ABI 2, in both directions.
//
//	host  -> guest   a Call, once, then a Result for each HostCall
//	guest -> host    a HostCall as often as needed, then a Result, once
//
// A host call is part of the stream of its call, so it has that call's grants
// and limits and cannot be made under another's. Host calls of one call are
// answered one after the other, in their order. The host closes its side of the
// stream when the call's time is over: what the guest says after that reaches
// nobody, and a guest that does not end soon is killed.
//
// Compatibility: the numbers and names below stay for ever. The protocol's
// version is that of the envelope; a guest may speak several, side by side.
package process

const (
	// CookieKey is the environment variable by which a guest knows that a host
	// started it. It protects nothing.
	CookieKey = "CALLBOARD_PLUGIN"
	// CookieValue is what stands in it.
	CookieValue = "e8f8a7d0c5a14f8f9d8f0c4f8be3d7c1"
	// Protocol is go-plugin's protocol version of guests that speak ABI 2.
	Protocol = 2
	// Name is the one plugin of go-plugin's set.
	Name = "guest"
	// Service is the gRPC service that every guest serves.
	Service = "callboard.plugin.process.v1.Guest"
	// Method is its one method; it streams google.protobuf.BytesValue both ways.
	Method = "Call"
	// MaxMessageBytes is the largest message that either side reads.
	MaxMessageBytes = 96 << 20
)

// IsHostCall reports whether a message of a guest is a HostCall; the other
// message that it sends is the Result of the call. The kind is the third byte
// of the envelope of ABI 2.
func IsHostCall(message []byte) bool {
	const head, kind = 3, 3
	return len(message) >= head && message[head-1] == kind
}
