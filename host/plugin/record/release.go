package record

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"

	"github.com/callboard-dev/callboard/host/store"
)

// InsertRelease writes a release and its code, unless they are there.
func InsertRelease(ctx context.Context, q store.Querier, r Release, code []byte) error {
	old, err := FindRelease(ctx, q, r.Digest)
	if err != nil || old != nil {
		return err
	}
	var packed bytes.Buffer
	w, _ := gzip.NewWriterLevel(&packed, gzip.BestSpeed) // the level is valid
	if _, err := w.Write(code); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	if _, err := q.NewInsert().Model(&Code{Digest: r.Digest, Code: packed.Bytes()}).Exec(ctx); err != nil {
		return fmt.Errorf("writing the code: %w", err)
	}
	if _, err := q.NewInsert().Model(&r).Exec(ctx); err != nil {
		return fmt.Errorf("writing the release: %w", err)
	}
	return nil
}

// ReadCode reads the code of a release, at most so many bytes of it. Code that
// is damaged reads as nothing: who knows its digest finds out.
func ReadCode(ctx context.Context, db *store.DB, digest string, most int64) ([]byte, error) {
	var row Code
	err := db.Control().Read(ctx, func(ctx context.Context, q store.Querier) error {
		return q.NewSelect().Model(&row).Where("digest = ?", digest).Scan(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("reading the code of the release: %w", err)
	}
	z, err := gzip.NewReader(bytes.NewReader(row.Code))
	if err != nil {
		return nil, nil
	}
	code, err := io.ReadAll(io.LimitReader(z, most))
	if err != nil {
		return nil, nil
	}
	return code, nil
}
