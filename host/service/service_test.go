package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/blob"
	"github.com/callboard-dev/callboard/host/cache"
	"github.com/callboard-dev/callboard/host/kv"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/store/storetest"
	"github.com/callboard-dev/callboard/host/table"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	catalogv1 "github.com/callboard-dev/callboard/schemas/service/catalog/v1"
	configv1 "github.com/callboard-dev/callboard/schemas/service/config/v1"
	kvv1 "github.com/callboard-dev/callboard/schemas/service/kv/v1"
	logv1 "github.com/callboard-dev/callboard/schemas/service/log/v1"
)

// ask calls a service and decodes what the guest would get.
func ask[T any](t *testing.T, svc plugin.Service, s *plugin.Session, method string, in any) (T, error) {
	t.Helper()
	var out T
	raw, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := svc.Serve(t.Context(), s, pluginv1.HostCall{Method: method, Body: raw})
	if err != nil {
		return out, err
	}
	if raw, err = json.Marshal(answer); err != nil {
		t.Fatal(err)
	}
	return out, json.Unmarshal(raw, &out)
}

func TestKV(t *testing.T) {
	db := storetest.SQLite(t)
	tenant := storetest.Tenant(t, db)
	svc := NewKV(kv.New(db, kv.Settings{}))
	s := session("{}", nil, plugin.Grant{Type: kvv1.Name, Quota: "20B"})
	s.Instance.Tenant = tenant.ID
	t.Run("SetGetListDelete", func(t *testing.T) {
		for _, k := range []string{"b", "a"} {
			if _, err := ask[any](t, svc, s, kvv1.MethodSet, kvv1.SetRequest{Key: k, Value: []byte{0, 255}}); err != nil {
				t.Fatal(err)
			}
		}
		got, err := ask[kvv1.GetResponse](t, svc, s, kvv1.MethodGet, kvv1.GetRequest{Key: "a"})
		if err != nil || !got.Found || !bytes.Equal(got.Value, []byte{0, 255}) {
			t.Errorf("got %+v, %v", got, err)
		}
		list, err := ask[kvv1.ListResponse](t, svc, s, kvv1.MethodList, kvv1.ListRequest{Limit: 1})
		if err != nil || !slices.Equal(list.Keys, []string{"a"}) || list.Next != "a" {
			t.Errorf("got %+v, %v", list, err)
		}
		if _, err := ask[any](t, svc, s, kvv1.MethodDelete, kvv1.DeleteRequest{Key: "a"}); err != nil {
			t.Error(err)
		}
		if got, err = ask[kvv1.GetResponse](t, svc, s, kvv1.MethodGet, kvv1.GetRequest{Key: "a"}); err != nil || got.Found {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	refused := []struct {
		name, method string
		in           any
		code         host.Code
	}{
		{"BeyondTheQuota", kvv1.MethodSet, kvv1.SetRequest{Key: "x", Value: make([]byte, 20)}, host.CodeLimit},
		{"NegativeTTL", kvv1.MethodSet, kvv1.SetRequest{Key: "x", TTLSeconds: -1}, host.CodeInvalid},
		{"EmptyKey", kvv1.MethodGet, kvv1.GetRequest{}, host.CodeInvalid},
		{"LongKey", kvv1.MethodDelete, kvv1.DeleteRequest{Key: strings.Repeat("x", 600)}, host.CodeInvalid},
		{"LimitTooHigh", kvv1.MethodList, kvv1.ListRequest{Limit: 5000}, host.CodeInvalid},
		{"NoRequest", kvv1.MethodSet, "text", host.CodeInvalid},
		{"NoRequestOfGet", kvv1.MethodGet, "text", host.CodeInvalid},
		{"NoRequestOfDelete", kvv1.MethodDelete, "text", host.CodeInvalid},
		{"NoRequestOfList", kvv1.MethodList, "text", host.CodeInvalid},
	}
	for _, c := range refused {
		t.Run(c.name, func(t *testing.T) {
			if _, err := ask[any](t, svc, s, c.method, c.in); host.CodeOf(err) != c.code {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("NotGranted", func(t *testing.T) {
		if _, err := ask[any](t, svc, session("{}", nil), kvv1.MethodGet, kvv1.GetRequest{Key: "a"}); host.CodeOf(err) != host.CodeNotGranted {
			t.Errorf("got %v", err)
		}
	})
}

// library is a catalog of two entities; the caller's right is noted.
type library struct {
	caller host.Caller
	kinds  []string
	limit  int
}

func (l *library) Entity(_ context.Context, c host.Caller, ref string) (json.RawMessage, error) {
	l.caller = c
	switch ref {
	case "component:default/a":
		return json.RawMessage(`{"kind":"Component"}`), nil
	case "user:default/ann":
		return json.RawMessage(`{"kind":"User"}`), nil
	}
	return nil, host.Errorf(host.CodeNotFound, "no entity %s", ref)
}

func (l *library) Entities(_ context.Context, c host.Caller, kinds []string, _ map[string][]string, cursor string, limit int) ([]json.RawMessage, string, error) {
	l.caller, l.kinds, l.limit = c, kinds, limit
	return nil, cursor + "!", nil
}

func TestCatalog(t *testing.T) {
	l := &library{}
	svc := NewCatalog(l)
	all := session("{}", nil, plugin.Grant{Type: catalogv1.Name})
	some := session("{}", nil, plugin.Grant{Type: catalogv1.Name, Kinds: []string{"Component", "API"}})
	t.Run("WithTheRightsOfTheCaller", func(t *testing.T) {
		got, err := ask[catalogv1.GetResponse](t, svc, all, catalogv1.MethodGet, catalogv1.GetRequest{Ref: "user:default/ann"})
		if err != nil || string(got.Entity) != `{"kind":"User"}` || l.caller.Principal().ID != "u1" {
			t.Errorf("got %s for %+v, %v", got.Entity, l.caller, err)
		}
	})
	t.Run("NarrowedByTheGrant", func(t *testing.T) {
		if _, err := ask[any](t, svc, some, catalogv1.MethodGet, catalogv1.GetRequest{Ref: "component:default/a"}); err != nil {
			t.Error(err)
		}
		if _, err := ask[any](t, svc, some, catalogv1.MethodGet, catalogv1.GetRequest{Ref: "user:default/ann"}); host.CodeOf(err) != host.CodeNotGranted {
			t.Errorf("got %v", err)
		}
		list, err := ask[catalogv1.ListResponse](t, svc, some, catalogv1.MethodList, catalogv1.ListRequest{Cursor: "c"})
		if err != nil || !slices.Equal(l.kinds, []string{"api", "component"}) || l.limit != 50 || list.Next != "c!" || list.Entities == nil {
			t.Errorf("got %+v with %v, %v", list, l, err)
		}
	})
	for name, in := range map[string]any{"NoRef": catalogv1.GetRequest{}, "Unknown": catalogv1.GetRequest{Ref: "a:b/c"}, "Junk": "text"} {
		t.Run(name, func(t *testing.T) {
			if _, err := ask[any](t, svc, all, catalogv1.MethodGet, in); err == nil || host.CodeOf(err) == host.CodeInternal {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("LimitTooHigh", func(t *testing.T) {
		if _, err := ask[any](t, svc, all, catalogv1.MethodList, catalogv1.ListRequest{Limit: 201}); host.CodeOf(err) != host.CodeInvalid {
			t.Errorf("got %v", err)
		}
	})
	t.Run("NotGranted", func(t *testing.T) {
		if _, err := ask[any](t, svc, session("{}", nil), catalogv1.MethodList, nil); host.CodeOf(err) != host.CodeNotGranted {
			t.Errorf("got %v", err)
		}
	})
}

func TestConfig(t *testing.T) {
	s := session(`{"url":"x"}`, nil)
	s.Instance.Secrets = []string{"token"}
	got, err := ask[configv1.Response](t, Config{}, s, configv1.MethodGet, nil)
	if err != nil || string(got.Config) != `{"url":"x"}` || !slices.Equal(got.Secrets, []string{"token"}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestLog(t *testing.T) {
	var out bytes.Buffer
	svc := NewLog(slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	now := time.Unix(1_800_000_000, 0)
	svc.now = func() time.Time { return now }
	write := func(s *plugin.Session, line logv1.Line) error {
		_, err := ask[any](t, svc, s, logv1.MethodWrite, line)
		return err
	}
	t.Run("WithPluginReleaseAndTenant", func(t *testing.T) {
		if err := write(session("{}", nil), logv1.Line{Level: "warn", Message: "hello\nworld", Fields: map[string]string{"a": "1"}}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`"level":"WARN"`, `"msg":"hello\nworld"`, `"plugin":"acme/probe"`, `"release":"1.0.0"`, `"tenant":"acme"`, `"fields":{"a":"1"}`} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s is not in %s", want, out.String())
			}
		}
	})
	t.Run("LongLinesAreCut", func(t *testing.T) {
		out.Reset()
		many := map[string]string{}
		for i := range 100 {
			many[fmt.Sprintf("f%03d", i)] = strings.Repeat("v", 5000)
		}
		if err := write(session("{}", nil), logv1.Line{Level: "info", Message: strings.Repeat("m", 1<<20), Fields: many}); err != nil {
			t.Fatal(err)
		}
		if n := out.Len(); n > 30_000 || !strings.Contains(out.String(), "f019") || strings.Contains(out.String(), "f020") {
			t.Errorf("%d bytes were written", n)
		}
	})
	t.Run("UnknownLevel", func(t *testing.T) {
		if err := write(session("{}", nil), logv1.Line{Level: "shout"}); host.CodeOf(err) != host.CodeInvalid {
			t.Errorf("got %v", err)
		}
	})
	t.Run("ACallMayWriteSoMany", func(t *testing.T) {
		out.Reset()
		s := session("{}", nil)
		for range 200 {
			if err := write(s, logv1.Line{Level: "info", Message: "x"}); err != nil {
				t.Fatal(err)
			}
		}
		if n := strings.Count(out.String(), "\n"); n != linesPerCall {
			t.Errorf("%d lines were written", n)
		}
	})
	t.Run("AMinuteHoldsSoManyAndTheNextTellsHowManyWereLost", func(t *testing.T) {
		now = now.Add(time.Minute)
		out.Reset()
		for range linesPerMin + 7 {
			if err := write(session("{}", nil), logv1.Line{Level: "info", Message: "x"}); err != nil {
				t.Fatal(err)
			}
		}
		if n := strings.Count(out.String(), "\n"); n != linesPerMin {
			t.Errorf("%d lines were written", n)
		}
		now = now.Add(time.Minute)
		out.Reset()
		if err := write(session("{}", nil), logv1.Line{Level: "info", Message: "x"}); err != nil || !strings.Contains(out.String(), `"dropped":7`) {
			t.Errorf("the next minute begins with %s, %v", out.String(), err)
		}
	})
}

func TestSet(t *testing.T) {
	if n := len(Set(Settings{})); n != 7 {
		t.Errorf("without ports there are %d services", n)
	}
	set := Set(Settings{
		KV: &kv.Store{}, Catalog: &library{}, Tables: &table.Store{}, Blobs: &blob.Store{}, Caches: &cache.Store{}, Search: &desk{},
	})
	for name, svc := range set {
		s := session("{}", nil, plugin.Grant{Type: name, Quota: "1B", Hosts: []string{"https://a.example"}})
		_, err := svc.Serve(t.Context(), s, pluginv1.HostCall{Method: strings.Repeat("x", 100)})
		var typed *pluginv1.Error
		if !errors.As(err, &typed) || typed.Code != pluginv1.CodeUnsupported {
			t.Errorf("an unknown method of %s gave %v", name, err)
		}
	}
}
