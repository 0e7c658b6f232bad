package ledger

import (
	"context"
	"sync"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/record"
	"github.com/callboard-dev/callboard/host/store"
)

// maxProofs is how many different targets are remembered between two writes.
const maxProofs = 500

// proof is what a plugin reached since it was last written.
type proof struct {
	mu   sync.Mutex
	seen map[reach]*reached
}

type reach struct{ service, target string }

type reached struct {
	uses int64
	last time.Time
}

// Reached notes that the plugin used a host service, and which target of it:
// the origin for http/v1, empty where there is none.
func (t *Tab) Reached(at time.Time, service, target string) {
	p, key := &t.proof, reach{service, target}
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.seen[key]
	if r == nil {
		if len(p.seen) >= maxProofs {
			return
		}
		if p.seen == nil {
			p.seen = map[reach]*reached{}
		}
		r = &reached{}
		p.seen[key] = r
	}
	r.uses, r.last = r.uses+1, at
}

func (p *proof) take(key tabKey) []record.Evidence {
	p.mu.Lock()
	seen := p.seen
	p.seen = nil
	p.mu.Unlock()
	var out []record.Evidence
	for k, r := range seen {
		out = append(out, record.Evidence{TenantID: string(key.tenant), Plugin: key.plugin, Service: k.service, Target: k.target, Uses: r.uses, LastUsedAt: r.last.UTC()})
	}
	return out
}

// Evidence is a host service that a plugin really used.
type Evidence struct {
	Service    string    `json:"service"`
	Target     string    `json:"target,omitempty"`
	Uses       int64     `json:"uses"`
	LastUsedAt time.Time `json:"lastUsedAt"`
}

// EvidenceOf returns what a plugin used for a tenant since a time.
func (b *Book) EvidenceOf(ctx context.Context, t host.TenantID, plugin string, since time.Time) ([]Evidence, error) {
	if err := b.Flush(ctx); err != nil {
		return nil, err
	}
	var rows []record.Evidence
	err := b.db.Control().Read(ctx, func(ctx context.Context, q store.Querier) error {
		rows = nil
		return q.NewSelect().Model(&rows).Where("tenant_id = ?", string(t)).Where("plugin = ?", plugin).
			Where("last_used_at >= ?", since.UTC()).Order("service", "target").Scan(ctx)
	})
	out := []Evidence{}
	for _, r := range rows {
		out = append(out, Evidence{r.Service, r.Target, r.Uses, r.LastUsedAt.UTC()})
	}
	return out, err
}
