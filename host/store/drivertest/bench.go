package drivertest

import (
	"context"
	"fmt"
	"testing"

	"github.com/callboard-dev/callboard/host/store"
)

// Bench measures what a tenant's read and write of one row cost, of one caller
// after the other and of several at once, over more tenants than connections.
func (h Harness) Bench(b *testing.B) {
	db := h.fresh(b)
	tenants := make([]*store.Tenant, 50)
	for i := range tenants {
		tenants[i] = tenant(b, db)
		for n := range 20 {
			must(b, tenants[i].Write(b.Context(), add(fmt.Sprint("note ", n))))
		}
	}
	b.Run("read", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			must(b, tenants[i%len(tenants)].Read(b.Context(), readOne))
		}
	})
	b.Run("read parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				if err := tenants[i%len(tenants)].Read(b.Context(), readOne); err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("write", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			must(b, tenants[i%len(tenants)].Write(b.Context(), increment("notes")))
		}
	})
}

func readOne(ctx context.Context, q store.Querier) error {
	return q.NewSelect().Model(new(note)).Where("name = ?", "note 7").Scan(ctx)
}
