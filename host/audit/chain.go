package audit

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/uptrace/bun"
)

// row is one link of a tenant's chain.
type row struct {
	bun.BaseModel `bun:"table:audit"`

	Seq       int64     `bun:"seq,pk"`
	ID        string    `bun:"id"`
	At        time.Time `bun:"at"`
	ActorKind string    `bun:"actor_kind"`
	ActorID   string    `bun:"actor_id"`
	ActorName string    `bun:"actor_name"`
	Action    string    `bun:"action"`
	Resource  string    `bun:"resource"`
	Detail    string    `bun:"detail"`
	Prev      []byte    `bun:"prev"`
	Hash      []byte    `bun:"hash"`
}

// head says where a chain ends.
type head struct {
	bun.BaseModel `bun:"table:audit_head"`

	ID   int    `bun:"id,pk"`
	Seq  int64  `bun:"seq"`
	Hash []byte `bun:"hash"`
	Seal []byte `bun:"seal"`
}

// pending is a record that waits in the control namespace for its way into the
// tenant's chain.
type pending struct {
	bun.BaseModel `bun:"table:audit_pending"`

	ID       string    `bun:"id,pk"`
	TenantID string    `bun:"tenant_id"`
	At       time.Time `bun:"at"`
	Record   string    `bun:"record"`
}

// Record is one change that somebody made.
type Record struct {
	// Seq counts the records of the tenant from 1.
	Seq int64 `json:"seq"`
	// ID names the record.
	ID string    `json:"id"`
	At time.Time `json:"at"`
	// Kind, Actor and Name say who made the change.
	Kind  host.PrincipalKind `json:"kind"`
	Actor string             `json:"actor"`
	Name  string             `json:"name"`
	// Action and Resource say what was done to what.
	Action   host.Action `json:"action"`
	Resource string      `json:"resource"`
	// Detail says what changed; it has no secrets.
	Detail map[string]string `json:"detail,omitempty"`
}

// newRecord makes the record of an entry, at a time that the store keeps exactly.
func newRecord(c host.Caller, e host.AuditEntry, now time.Time) Record {
	p := c.Principal()
	return Record{
		ID: host.NewID("a"), At: now.UTC().Truncate(time.Microsecond),
		Kind: p.Kind, Actor: p.ID, Name: p.Name,
		Action: e.Action, Resource: e.Resource, Detail: maps.Clone(e.Detail),
	}
}

// row returns the record as the next link after end, sealed with key.
func (r Record) row(key []byte, end head) (row, error) {
	detail, err := json.Marshal(r.Detail)
	if err != nil {
		return row{}, fmt.Errorf("writing an audit record: %w", err)
	}
	link := row{
		Seq: end.Seq + 1, ID: r.ID, At: r.At,
		ActorKind: string(r.Kind), ActorID: r.Actor, ActorName: r.Name,
		Action: string(r.Action), Resource: r.Resource, Detail: string(detail), Prev: end.Hash,
	}
	link.Hash = link.seal(key)
	return link, nil
}

// record returns the row as its reader sees it.
func (l row) record() (Record, error) {
	r := Record{
		Seq: l.Seq, ID: l.ID, At: l.At.UTC(),
		Kind: host.PrincipalKind(l.ActorKind), Actor: l.ActorID, Name: l.ActorName,
		Action: host.Action(l.Action), Resource: l.Resource,
	}
	if err := json.Unmarshal([]byte(l.Detail), &r.Detail); err != nil {
		return Record{}, fmt.Errorf("reading audit record %d: %w", l.Seq, err)
	}
	return r, nil
}

// seal returns the keyed hash of everything in the row and of the row before.
func (l row) seal(key []byte) []byte {
	return mac(key, "row", l.Prev, number(l.Seq), []byte(l.ID), number(l.At.UnixMicro()),
		[]byte(l.ActorKind), []byte(l.ActorID), []byte(l.ActorName),
		[]byte(l.Action), []byte(l.Resource), []byte(l.Detail))
}

// seal returns the keyed hash of where the chain ends. It differs from every
// row's, so that an earlier end cannot be made from an earlier row.
func (h head) seal(key []byte) []byte { return mac(key, "head", number(h.Seq), h.Hash) }

// after returns the head when link is the last one.
func (h head) after(link row, key []byte) head {
	h.Seq, h.Hash = link.Seq, link.Hash
	h.Seal = h.seal(key)
	return h
}

// mac returns the HMAC of the parts, each with its length before it.
func mac(key []byte, what string, parts ...[]byte) []byte {
	m := hmac.New(sha256.New, key)
	for _, p := range slices.Insert(parts, 0, []byte(what)) {
		m.Write(number(int64(len(p))))
		m.Write(p)
	}
	return m.Sum(nil)
}

func number(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }
