package sdktest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/catalog"
	"github.com/callboard-dev/callboard/sdk/config"
	"github.com/callboard-dev/callboard/sdk/kv"
	"github.com/callboard-dev/callboard/sdk/log"
	"github.com/callboard-dev/callboard/sdk/route"
	"github.com/callboard-dev/callboard/sdk/sdktest"
)

// must fails the call where got is not want.
func must[T comparable](what string, got, want T) error {
	if got != want {
		return fmt.Errorf("%s is %v, want %v", what, got, want)
	}
	return nil
}

func TestConfig(t *testing.T) {
	type settings struct {
		URL, User string
		Deep      struct{ N int }
	}
	var got settings
	if _, err := within(t, func(ctx *sdk.Context) error { return config.Into(ctx, &got) },
		sdktest.Config(map[string]any{"user": "ann"})); err != nil {
		t.Fatal(err)
	}
	want := settings{URL: "http://default.example:9090", User: "ann"}
	want.Deep.N = 3
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	t.Run("that does not fit is not ready", func(t *testing.T) {
		var wrong struct{ URL int }
		_, err := within(t, func(ctx *sdk.Context) error { return config.Into(ctx, &wrong) })
		if sdk.CodeOf(err) != sdk.CodeNotReady {
			t.Errorf("got %v", err)
		}
	})
	t.Run("names the secrets that have a value", func(t *testing.T) {
		_, err := within(t, func(ctx *sdk.Context) error {
			token, err := config.HasSecret(ctx, "token")
			other, otherErr := config.HasSecret(ctx, "password")
			return errors.Join(err, otherErr, must("token", token, true), must("password", other, false))
		}, sdktest.Secret("token", "x"))
		if err != nil {
			t.Error(err)
		}
	})
}

func TestKV(t *testing.T) {
	t.Run("keeps, lists and deletes", func(t *testing.T) {
		h, err := within(t, func(ctx *sdk.Context) error {
			var n int
			_, missing, err := kv.Get(ctx, "none")
			err = errors.Join(err, must("none", missing, false), kv.SetJSON(ctx, "a/1", 41, kv.Forever),
				kv.Set(ctx, "a/2", []byte("x"), kv.Forever), kv.Set(ctx, "b", nil, kv.Forever), kv.Delete(ctx, "a/2"), kv.Delete(ctx, "a/2"))
			found, getErr := kv.GetJSON(ctx, "a/1", &n)
			var keys []string
			for key, err := range kv.Keys(ctx, "a/") {
				if err != nil {
					return err
				}
				keys = append(keys, key)
			}
			return errors.Join(err, getErr, must("found", found, true), must("n", n, 41), must("keys", strings.Join(keys, " "), "a/1"))
		})
		if err != nil || fmt.Sprint(h.Stored()) != "map[a/1:41 b:]" {
			t.Errorf("%v, %v", err, h.Stored())
		}
	})
	t.Run("walks many keys page by page", func(t *testing.T) {
		n := 0
		p := probe{act: func(ctx *sdk.Context, _ route.Request) (route.Response, error) {
			for _, err := range kv.Keys(ctx, "k") {
				if err != nil {
					return route.Response{}, err
				}
				n++
			}
			return route.NoContent()
		}}
		h := sdktest.New(t, p.plugin(), manifestFile(t, strings.Replace(manifestText, `"200"`, `"204"`, 1)))
		for i := range 250 {
			h.Store(fmt.Sprintf("k%03d", i), "")
		}
		if _, err := h.Route(route.Request{OperationID: "act"}); err != nil || n != 250 {
			t.Errorf("walked %d keys, %v", n, err)
		}
	})
	t.Run("forgets what has expired", func(t *testing.T) {
		h, err := within(t, func(ctx *sdk.Context) error { return kv.Set(ctx, "a", nil, 1500*time.Millisecond) })
		if err != nil {
			t.Fatal(err)
		}
		h.Advance(1900 * time.Millisecond)
		if len(h.Stored()) != 1 {
			t.Error("the value is gone before its two seconds are over")
		}
		h.Advance(200 * time.Millisecond)
		if len(h.Stored()) != 0 {
			t.Error("the value is still there")
		}
	})
	refusals := map[string]struct {
		call    func(ctx context.Context) error
		options []sdktest.Option
		code    sdk.Code
	}{
		"beyond the quota": {func(ctx context.Context) error { return kv.Set(ctx, "a", make([]byte, 1024), 0) }, nil, sdk.CodeLimit},
		"an empty key":     {func(ctx context.Context) error { return kv.Set(ctx, "", nil, 0) }, nil, sdk.CodeInvalid},
		"a long key":       {func(ctx context.Context) error { return kv.Set(ctx, strings.Repeat("k", 513), nil, 0) }, nil, sdk.CodeInvalid},
		"a negative time":  {func(ctx context.Context) error { return kv.Set(ctx, "a", nil, -1) }, nil, sdk.CodeInvalid},
		"a negative time on the wire": {func(ctx context.Context) error {
			return sdk.Do(ctx, "kv/v1", "set", map[string]any{"key": "a", "ttlSeconds": -1}, nil)
		}, nil, sdk.CodeInvalid},
		"a value that is no JSON": {func(ctx context.Context) error { return kv.SetJSON(ctx, "a", make(chan int), 0) }, nil, sdk.CodeInternal},
		"a large page": {func(ctx context.Context) error {
			return sdk.Do(ctx, "kv/v1", "list", map[string]any{"limit": 1001}, nil)
		}, nil, sdk.CodeInvalid},
		"a request that does not fit":  {func(ctx context.Context) error { return sdk.Do(ctx, "kv/v1", "get", []int{1}, nil) }, nil, sdk.CodeInvalid},
		"a method that does not exist": {func(ctx context.Context) error { return sdk.Do(ctx, "kv/v1", "drop", nil, nil) }, nil, sdk.CodeUnsupported},
		"without its grant":            {func(ctx context.Context) error { _, _, err := kv.Get(ctx, "a"); return err }, []sdktest.Option{sdktest.Without("kv/v1")}, sdk.CodeNotGranted},
		"a walk without its grant": {func(ctx context.Context) error {
			for _, err := range kv.Keys(ctx, "") {
				return err
			}
			return nil
		}, []sdktest.Option{sdktest.Without("kv/v1")}, sdk.CodeNotGranted},
	}
	for name, tt := range refusals {
		t.Run("refuses "+name, func(t *testing.T) {
			if _, err := within(t, func(ctx *sdk.Context) error { return tt.call(ctx) }, tt.options...); sdk.CodeOf(err) != tt.code {
				t.Errorf("got %v, want %s", err, tt.code)
			}
		})
	}
	t.Run("says that a stored value does not fit", func(t *testing.T) {
		p := probe{act: func(ctx *sdk.Context, _ route.Request) (route.Response, error) {
			var n int
			_, err := kv.GetJSON(ctx, "a", &n)
			return route.Response{}, err
		}}
		h := sdktest.New(t, p.plugin(), manifestFile(t, manifestText))
		h.Store("a", "text")
		if _, err := h.Route(route.Request{OperationID: "act"}); sdk.CodeOf(err) != sdk.CodeInternal {
			t.Errorf("got %v", err)
		}
	})
}

func TestLog(t *testing.T) {
	h, err := within(t, func(ctx *sdk.Context) error {
		log.Debug(ctx, "d")
		log.Info(ctx, "i", "n", 1, "extra value")
		log.Warn(ctx, "w", "a", "b")
		log.Error(ctx, "e")
		return nil
	})
	want := "[{debug d map[]} {info i map[extra:extra value n:1]} {warn w map[a:b]} {error e map[]}]"
	if got := fmt.Sprint(h.Logs()); err != nil || got != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
	log.Info(t.Context(), "outside a call it is dropped")
}

// component returns an entity document.
func component(name, typ string) map[string]any {
	return map[string]any{"apiVersion": "backstage.io/v1alpha1", "kind": "Component",
		"metadata": map[string]any{"name": name, "annotations": map[string]any{"prometheus.io/rule": " up "}, "tags": []string{"a", "b"}},
		"spec":     map[string]any{"type": typ, "owner": "pets"},
		"relations": []any{map[string]any{"type": "ownedBy", "targetRef": "group:default/pets"},
			map[string]any{"type": "partOf", "targetRef": "system:default/shop"}}}
}

func TestCatalog(t *testing.T) {
	entities := sdktest.Entities(component("one", "service"), component("two", "library"), `{"kind":"API","metadata":{"name":"three","namespace":"x","title":"T"}}`)
	t.Run("gives an entity", func(t *testing.T) {
		_, err := within(t, func(ctx *sdk.Context) error {
			e, err := catalog.Get(ctx, "Component:default/One")
			if err != nil {
				return err
			}
			var spec struct{ Type string }
			return errors.Join(e.DecodeSpec(&spec), must("type", spec.Type, "service"), must("ref", e.Ref(), "component:default/one"),
				must("title", e.Title(), "one"), must("annotation", e.Annotation("prometheus.io/rule"), "up"),
				must("owner", strings.Join(e.Targets("ownedBy"), " "), "group:default/pets"), must("raw", len(e.Raw) > 100, true))
		}, entities)
		if err != nil {
			t.Error(err)
		}
	})
	refusals := map[string]struct {
		ref  string
		code sdk.Code
	}{
		"an entity that is not there": {"component:default/none", sdk.CodeNotFound},
		"a kind that is not granted":  {"api:x/three", sdk.CodeNotGranted},
		"what is not a reference":     {"one", sdk.CodeInvalid},
	}
	for name, tt := range refusals {
		t.Run("refuses "+name, func(t *testing.T) {
			_, err := within(t, func(ctx *sdk.Context) error { _, err := catalog.Get(ctx, tt.ref); return err }, entities)
			if sdk.CodeOf(err) != tt.code {
				t.Errorf("got %v, want %s", err, tt.code)
			}
		})
	}
	filters := map[string]struct {
		filter map[string][]string
		want   string
	}{
		"all of the granted kinds":  {nil, "one two"},
		"by a nested value":         {map[string][]string{"spec.type": {"LIBRARY", "website"}}, "two"},
		"by an annotation's name":   {map[string][]string{"metadata.annotations.prometheus.io/rule": {}}, "one two"},
		"by one of a list":          {map[string][]string{"metadata.tags": {"b"}}, "one two"},
		"by two keys":               {map[string][]string{"kind": {"component"}, "metadata.name": {"one"}}, "one"},
		"by a key that is nowhere":  {map[string][]string{"metadata.annotations.other": {}}, ""},
		"by a key below a value":    {map[string][]string{"kind.more": {}}, ""},
		"by an object, not a value": {map[string][]string{"metadata.annotations": {}}, ""},
	}
	for name, tt := range filters {
		t.Run("lists "+name+", page by page", func(t *testing.T) {
			var names []string
			_, err := within(t, func(ctx *sdk.Context) error {
				for e, err := range catalog.All(ctx, catalog.Query{Filter: tt.filter, Limit: 1}) {
					if err != nil {
						return err
					}
					names = append(names, e.Metadata.Name)
				}
				return nil
			}, entities)
			if got := strings.Join(names, " "); err != nil || got != tt.want {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
	t.Run("stops a walk where the caller does", func(t *testing.T) {
		n := 0
		_, err := within(t, func(ctx *sdk.Context) error {
			for range catalog.All(ctx, catalog.Query{}) {
				n++
				break
			}
			return nil
		}, entities)
		if err != nil || n != 1 {
			t.Errorf("got %d, %v", n, err)
		}
	})
	for name, q := range map[string]catalog.Query{"a large page": {Limit: 201}, "a strange cursor": {Cursor: "x"}} {
		t.Run("refuses "+name, func(t *testing.T) {
			_, err := within(t, func(ctx *sdk.Context) error { _, err := catalog.List(ctx, q); return err }, entities)
			if sdk.CodeOf(err) != sdk.CodeInvalid {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("walk ends with the refusal", func(t *testing.T) {
		_, err := within(t, func(ctx *sdk.Context) error {
			for _, err := range catalog.All(ctx, catalog.Query{}) {
				return err
			}
			return nil
		}, sdktest.Without("catalog/v1"))
		if sdk.CodeOf(err) != sdk.CodeNotGranted {
			t.Errorf("got %v", err)
		}
	})
}

func TestEntity(t *testing.T) {
	e, err := catalog.Decode([]byte(`{"kind":"API","metadata":{"name":"N","namespace":"Space","title":"The title"},"spec":[]}`))
	if err != nil || e.Ref() != "api:space/n" || e.Title() != "The title" || e.Namespace() != "Space" || e.Annotation("x") != "" {
		t.Errorf("got %+v, %v", e, err)
	}
	var spec struct{ A int }
	if err := e.DecodeSpec(&spec); sdk.CodeOf(err) != sdk.CodeInvalid {
		t.Errorf("a spec that does not fit: %v", err)
	}
	if err := (catalog.Entity{}).DecodeSpec(&spec); err != nil {
		t.Errorf("no spec: %v", err)
	}
	if _, err := catalog.Decode([]byte("[]")); err == nil {
		t.Error("a list is no entity")
	}
	if slices.Contains(e.Targets("x"), "") {
		t.Error("a target is empty")
	}
}
