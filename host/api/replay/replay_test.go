package replay_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/api/replay"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
)

// caller is a user of some tenant.
func caller(id string) host.Caller {
	return host.NewCaller(host.Tenant{ID: "taaaaaaaaaaaaaaaa", Slug: "acme"}, host.Principal{Kind: host.KindUser, ID: id, Role: host.RoleAdmin})
}

func TestMemory(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, now := context.Background(), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		m := replay.New(db, replay.Settings{PerPrincipal: 3, Now: func() time.Time { return now }})
		ann, bob := caller("ann"), caller("bob")
		begin := func(t *testing.T, c host.Caller, key, print string, want host.Code) *replay.Answer {
			t.Helper()
			a, err := m.Begin(ctx, c, key, print)
			if host.CodeOf(err) != want {
				t.Fatalf("beginning %s: %v, want %q", key, err, want)
			}
			return a
		}
		t.Run("First", func(t *testing.T) {
			if a := begin(t, ann, "k", "f", ""); a != nil {
				t.Errorf("there is an answer: %+v", a)
			}
		})
		t.Run("StillRunning", func(t *testing.T) {
			begin(t, ann, "k", "f", host.CodeConflict)
			begin(t, bob, "k", "f", "") // another's key
		})
		t.Run("Answered", func(t *testing.T) {
			if err := m.Finish(ctx, ann, "k", replay.Answer{Status: 201, Kept: true, Header: map[string]string{"Location": "/x"}, Body: []byte("{}\x00")}); err != nil {
				t.Fatal(err)
			}
			a := begin(t, ann, "k", "f", "")
			if a == nil || a.Status != 201 || !a.Kept || a.Header["Location"] != "/x" || string(a.Body) != "{}\x00" {
				t.Errorf("the answer is %+v", a)
			}
			begin(t, ann, "k", "other", host.CodeConflict)
		})
		t.Run("Abandoned", func(t *testing.T) {
			begin(t, ann, "k2", "f", "")
			if err := m.Abandon(ctx, ann, "k2"); err != nil {
				t.Fatal(err)
			}
			if a := begin(t, ann, "k2", "g", ""); a != nil {
				t.Errorf("there is an answer: %+v", a)
			}
		})
		t.Run("Bounded", func(t *testing.T) {
			begin(t, ann, "k3", "f", "")
			begin(t, ann, "k4", "f", host.CodeLimit)
			begin(t, bob, "k4", "f", "")
		})
		t.Run("AKilledRequestIsForgottenSoon", func(t *testing.T) {
			now = now.Add(6 * time.Minute)
			if a := begin(t, ann, "k3", "g", ""); a != nil {
				t.Errorf("there is an answer: %+v", a)
			}
			if a := begin(t, ann, "k", "f", ""); a == nil {
				t.Error("an answer was forgotten with it")
			}
		})
		t.Run("AnswersAreForgottenAfterADay", func(t *testing.T) {
			now = now.Add(25 * time.Hour)
			if a := begin(t, ann, "k", "anything", ""); a != nil {
				t.Errorf("there is an answer: %+v", a)
			}
		})
	})
}

func TestOneOfManyBegins(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		m := replay.New(db, replay.Settings{})
		var wg sync.WaitGroup
		var mu sync.Mutex
		begun := 0
		for i := range 8 {
			wg.Go(func() {
				_, err := m.Begin(context.Background(), caller("ann"), "k", "f")
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					begun++
				} else if host.CodeOf(err) != host.CodeConflict {
					t.Errorf("request %s: %v", strconv.Itoa(i), err)
				}
			})
		}
		wg.Wait()
		if begun != 1 {
			t.Errorf("%d requests began", begun)
		}
	})
}
