package storetest_test

import (
	"context"
	"testing"

	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
)

func TestEachGivesAStoreToUse(t *testing.T) {
	seen := make(map[store.Dialect]bool)
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		seen[db.Dialect()] = true
		tenant, err := db.Tenant(storetest.Tenant(t, db).ID)
		if err != nil {
			t.Fatal(err)
		}
		if err := tenant.Write(t.Context(), func(ctx context.Context, q store.Querier) error {
			return store.Enqueue(ctx, q, store.Job{Kind: "try"})
		}); err != nil {
			t.Error(err)
		}
	})
	if !seen[store.SQLite] {
		t.Error("SQLite was left out")
	}
}
