package storetest_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
)

func TestSmoke(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		tn := storetest.Tenant(t, db)
		h, _ := db.Tenant(tn.ID)
		if err := h.Write(ctx, func(ctx context.Context, q store.Querier) error {
			return store.Enqueue(ctx, q, store.Job{Kind: "a", Key: "b", Args: json.RawMessage(`{"x":1}`)})
		}); err != nil {
			t.Fatal(err)
		}
		n, err := db.Relay(ctx, tn.ID, func(ctx context.Context, j store.Job) error { t.Log(j.Kind, string(j.Args)); return nil })
		if n != 1 || err != nil {
			t.Fatal(n, err)
		}
	})
}
