package acts

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/blob"
	"github.com/callboard-dev/callboard/sdk/cache"
	"github.com/callboard-dev/callboard/sdk/route"
	"github.com/callboard-dev/callboard/sdk/table"
)

// data keeps something in each of the services that keep data and tells what
// came back: rows, N bytes of an object in pieces, a value that is made once, and
// a streamed request, in capitals as the streamed response.
func data(ctx *sdk.Context, r Request) (any, error) {
	type row struct {
		ID    int64  `json:"id"`
		Price string `json:"price"`
	}
	if _, err := table.Upsert(ctx, "prices", row{1 << 60, "0.10"}, row{2, "0.20"}); err != nil {
		return nil, fmt.Errorf("writing rows: %w", err)
	}
	type total struct {
		Sum string `json:"sum"`
		Max int64  `json:"max"`
	}
	sums, err := table.Aggregate[total](ctx, table.Sums{Table: "prices", Aggregates: []table.Figure{
		{Fn: table.Sum, Column: "price", As: "sum"}, {Fn: table.Max, Column: "id", As: "max"},
	}})
	if err != nil {
		return nil, fmt.Errorf("adding up: %w", err)
	}
	size, err := keep(ctx, r.N)
	if err != nil {
		return nil, fmt.Errorf("keeping an object: %w", err)
	}
	made := 0
	for range 2 {
		if _, err := cache.GetOrMake(ctx, "value", time.Minute, func() ([]byte, error) { made++; return []byte{0, 255}, nil }); err != nil {
			return nil, fmt.Errorf("making a value: %w", err)
		}
	}
	text, err := io.ReadAll(route.Body(ctx))
	if err != nil {
		return nil, fmt.Errorf("reading the request: %w", err)
	}
	w, err := route.Stream(ctx, 200, "text/plain", nil)
	if err == nil {
		_, err = w.Write(bytes.ToUpper(text))
	}
	return fmt.Sprintf("%s of %d, %d bytes, made %d", sums[0].Sum, sums[0].Max, size, made), err
}

// keep writes an object of n bytes in pieces, reads it back in pieces, and says
// how many came back as they were.
func keep(ctx *sdk.Context, n int) (int, error) {
	want := bytes.Repeat([]byte{0, 1, 2, 255}, n/4)
	w, err := blob.Create(ctx, "object")
	if err != nil {
		return 0, err
	}
	if _, err := w.Write(want); err != nil {
		return 0, err
	}
	if _, err := w.Commit(); err != nil {
		return 0, err
	}
	_, r, err := blob.Open(ctx, "object", 0, 0)
	if err != nil {
		return 0, err
	}
	got, err := io.ReadAll(r)
	if !bytes.Equal(got, want) {
		return 0, err
	}
	return len(got), err
}
