package work_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
	"github.com/callboard-dev/callboard/host/work"
)

// taken delivers the outbox and returns the arguments of the first job.
func (b *bench) taken(t *testing.T) json.RawMessage {
	t.Helper()
	_, err := b.db.Relay(t.Context(), b.tenant, func(_ context.Context, j store.Job) error {
		b.jobs = append(b.jobs, j)
		return nil
	})
	if err != nil || len(b.jobs) == 0 {
		t.Fatal(len(b.jobs), err)
	}
	return b.jobs[0].Args
}

func TestRunner(t *testing.T) {
	db := storetest.SQLite(t)
	t.Run("OneTenantTakesItsShareAlone", func(t *testing.T) {
		b := newBench(t, db)
		started, release := make(chan struct{}), make(chan struct{})
		b.do = func(context.Context, host.TenantID, work.Item) work.Verdict {
			started <- struct{}{}
			<-release
			return work.Verdict{}
		}
		b.add(t, work.Item{}, work.Item{}, work.Item{}, work.Item{})
		args := b.taken(t)
		done := make(chan error, 3)
		for range 3 {
			go func() { done <- b.run(t.Context(), args) }()
			<-started
		}
		var postponed interface{ Later() time.Duration }
		if err := b.run(t.Context(), args); !errors.As(err, &postponed) || postponed.Later() <= 0 || err.Error() == "" {
			t.Errorf("a fourth at a time: %v", err)
		}
		close(release)
		go func() {
			for range started { // what is left
			}
		}()
		for range 3 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		close(started)
	})
	t.Run("ATurnEnds", func(t *testing.T) {
		b := newBench(t, db)
		b.do = func(context.Context, host.TenantID, work.Item) work.Verdict {
			b.pass(21 * time.Second)
			return work.Verdict{}
		}
		b.add(t, work.Item{Payload: []byte("a")}, work.Item{Payload: []byte("b")})
		if err := b.run(t.Context(), b.taken(t)); err != nil {
			t.Fatal(err)
		}
		b.did1(t, "a")
		b.settle(t) // the rest has its turn
		b.did1(t, "a b")
	})
	t.Run("AStoppingHostGivesBack", func(t *testing.T) {
		b := newBench(t, db)
		ctx, cancel := context.WithCancel(t.Context())
		b.do = func(ctx context.Context, _ host.TenantID, _ work.Item) work.Verdict {
			cancel()
			return work.Verdict{Err: ctx.Err()}
		}
		id := b.add(t, work.Item{})[0].ID
		if err := b.run(ctx, b.taken(t)); err != nil {
			t.Fatal(err)
		}
		if item := b.get(t, id); item.State != work.Waiting || item.Attempts != 0 {
			t.Errorf("%+v", item)
		}
	})
	t.Run("WhatNobodyKnowsIsLeft", func(t *testing.T) {
		b := newBench(t, db)
		b.add(t, work.Item{Queue: work.Queue{Instance: "i1", Lane: "odd", Name: "x"}})
		if err := b.run(t.Context(), b.taken(t)); err != nil {
			t.Error(err)
		}
		if err := b.run(t.Context(), json.RawMessage(`{"tenant":"tgone","instance":"i","lane":"job","name":"x"}`)); err == nil {
			t.Error("a tenant that cannot be")
		}
		if err := b.run(t.Context(), json.RawMessage(`7`)); host.CodeOf(err) != host.CodeInvalid {
			t.Error(err)
		}
	})
}
