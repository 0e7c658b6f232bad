package extension

import (
	"context"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/store/storetest"
	"github.com/callboard-dev/callboard/host/work"
)

// resident knows one instance, and who may read of it.
type resident struct{ deny bool }

func (r *resident) Get(_ context.Context, _ host.Caller, name string) (plugin.Instance, error) {
	if r.deny {
		return plugin.Instance{}, host.Errorf(host.CodeForbidden, "no")
	}
	if name != "worker" {
		return plugin.Instance{}, host.Errorf(host.CodeNotFound, "no such plugin")
	}
	return worker(), nil
}

// trail keeps audit entries.
type trail []host.AuditEntry

func (l *trail) Record(_ context.Context, _ host.Caller, e host.AuditEntry) error {
	*l = append(*l, e)
	return nil
}

func TestBacklog(t *testing.T) {
	db := storetest.SQLite(t)
	tenant := storetest.Tenant(t, db)
	s := work.New(db, work.Settings{})
	deny, seen, who := authz{}, &trail{}, &resident{}
	b := NewBacklog(who, s, deny, seen)
	c := host.NewCaller(tenant, host.Principal{Kind: host.KindUser, ID: "u1", Role: host.RoleAdmin})
	ids := map[string]string{}
	for _, lane := range []string{LaneJob, LaneEvent} {
		added, err := s.Add(t.Context(), tenant.ID, []work.Item{{Queue: work.Queue{Instance: "i1", Lane: lane, Name: "x"}, MaxAttempts: 1, RunAt: time.Now().Add(time.Hour)}}, 10)
		if err != nil {
			t.Fatal(err)
		}
		ids[lane] = added[0].ID
	}
	for lane, id := range ids {
		t.Run(lane, func(t *testing.T) {
			list, err := b.List(t.Context(), c, "worker", lane, "waiting", 10)
			if err != nil || len(list) != 1 || list[0].ID != id {
				t.Fatal(list, err)
			}
			if err := b.Retry(t.Context(), c, "worker", id); host.CodeOf(err) != host.CodeConflict {
				t.Error("what waits was tried again:", err)
			}
			before := len(*seen)
			if err := b.Cancel(t.Context(), c, "worker", id); err != nil {
				t.Error(err)
			}
			if err := b.Retry(t.Context(), c, "worker", id); err != nil {
				t.Error(err)
			}
			if got := (*seen)[before:]; len(got) != 2 || got[0].Detail["change"] != "cancel work" || got[1].Detail["id"] != id {
				t.Errorf("%+v", got)
			}
		})
	}
	before := len(*seen)
	for name, c2 := range map[string]struct {
		do   func() error
		code host.Code
	}{
		"UnknownID":     {func() error { return b.Retry(t.Context(), c, "worker", "jobnone") }, host.CodeNotFound},
		"UnknownPlugin": {func() error { return b.Cancel(t.Context(), c, "other", ids[LaneJob]) }, host.CodeNotFound},
		"MayNotManage": {func() error {
			deny[host.ActionPluginManage] = true
			defer delete(deny, host.ActionPluginManage)
			return b.Cancel(t.Context(), c, "worker", ids[LaneJob])
		}, host.CodeForbidden},
		"MayNotRead": {func() error {
			who.deny = true
			defer func() { who.deny = false }()
			_, err := b.List(t.Context(), c, "worker", LaneJob, "", 10)
			return err
		}, host.CodeForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c2.do(); host.CodeOf(err) != c2.code || len(*seen) != before {
				t.Errorf("%v, %d entries", err, len(*seen)-before)
			}
		})
	}
}
