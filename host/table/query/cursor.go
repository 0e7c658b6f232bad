package query

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"

	"github.com/callboard-dev/callboard/host"
	tablev1 "github.com/callboard-dev/callboard/schemas/service/table/v1"
)

// A cursor is the place at which a page ended, and a mark of the request that
// it belongs to. It gives no rights: what it can do is to move the beginning of
// the caller's own request within the ranges that the request has anyway, so a
// forged one finds nothing that the request without it would not find.

const markBytes = 8

// mark names a request, whatever its page.
func mark(in *tablev1.SelectRequest, p *Plan) []byte {
	bare := *in
	bare.Cursor, bare.Limit = "", 0
	raw, err := json.Marshal(bare)
	if err != nil {
		raw = nil // cannot be: it came from JSON
	}
	sum := sha256.New()
	sum.Write(raw)
	sum.Write([]byte{0, byte(p.Index.Number), byte(p.Index.Number >> 8)})
	sum.Write([]byte(p.Index.Name))
	return sum.Sum(nil)[:markBytes]
}

// Cursor writes a cursor.
func (p *Plan) Cursor(in *tablev1.SelectRequest, place []byte) string {
	return base64.RawURLEncoding.EncodeToString(append(mark(in, p), place...))
}

// Place reads the request's cursor; nil where it has none.
func (p *Plan) Place(in *tablev1.SelectRequest) ([]byte, error) {
	if in.Cursor == "" {
		return nil, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(in.Cursor)
	if err != nil || len(raw) <= markBytes || len(raw) > 16*tablev1.MaxKeyBytes {
		return nil, host.Errorf(host.CodeInvalid, "the cursor cannot be read").WithHint("pass next of the page before as it is")
	}
	if !bytes.Equal(raw[:markBytes], mark(in, p)) {
		return nil, host.Errorf(host.CodeInvalid, "the cursor belongs to another request").
			WithHint("table, columns, conditions, order and joins must stay the same from page to page")
	}
	return raw[markBytes:], nil
}

// From cuts the ranges to what comes behind a place of the index.
func (p *Plan) From(place []byte) {
	if place == nil {
		return
	}
	var left []Range
	for _, r := range p.Ranges {
		switch {
		case p.Desc && (r.Hi == nil || bytes.Compare(r.Hi, place) > 0):
			r.Hi = place
		case !p.Desc && bytes.Compare(r.Lo, place) <= 0:
			r.Lo = append(bytes.Clone(place), 0) // the next possible entry
		}
		if r.Hi == nil || bytes.Compare(r.Lo, r.Hi) < 0 {
			left = append(left, r)
		}
	}
	p.Ranges = left
}
