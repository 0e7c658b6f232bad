package main

import (
	"testing"

	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/route"
	"github.com/callboard-dev/callboard/sdk/sdktest"
)

const petstore = `{"apiVersion": "backstage.io/v1alpha1", "kind": "Component", "metadata": {"name": "petstore"},
	"spec": {"type": "service", "lifecycle": "production", "owner": "pets"}}`

// greet calls the operation and returns its answer.
func greet(t *testing.T, host *sdktest.Host, name string) (text string, count int) {
	t.Helper()
	var out struct {
		Text  string
		Count int
	}
	err := host.RouteJSON(route.Request{OperationID: "getGreeting", Params: map[string]string{"name": name}}, &out)
	if err != nil {
		t.Fatal(err)
	}
	return out.Text, out.Count
}

func TestGetGreeting(t *testing.T) {
	tests := map[string]struct {
		options []sdktest.Option
		want    string
	}{
		"greets with the default word":    {nil, "Hello, Ann!"},
		"greets with the configured word": {[]sdktest.Option{sdktest.Config(settings{Greeting: "Moin"})}, "Moin, Ann!"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			host := sdktest.New(t, New(), tt.options...)
			if text, count := greet(t, host, "Ann"); text != tt.want || count != 1 {
				t.Errorf("got %q, %d; want %q, 1", text, count, tt.want)
			}
			if _, count := greet(t, host, "Ann"); count != 2 {
				t.Errorf("the second greeting counts %d, want 2", count)
			}
		})
	}
}

func TestGreetingView(t *testing.T) {
	host := sdktest.New(t, New(), sdktest.Entities(petstore))
	tree, err := host.EntityView("greeting", "component:default/petstore", nil)
	if err != nil {
		t.Fatal(err)
	}
	if tree.Nodes[0].Empty == nil {
		t.Errorf("an entity that was never greeted shows %+v, want the empty state", tree.Nodes[0])
	}
	greet(t, host, "petstore")
	tree, err = host.EntityView("greeting", "component:default/petstore", nil)
	if err != nil {
		t.Fatal(err)
	}
	if stats := tree.Nodes[0].Stats; stats == nil || stats.Items[0].Value != "1" {
		t.Errorf("after one greeting the view shows %+v, want the figure 1", tree.Nodes[0])
	}
}

func TestTidy(t *testing.T) {
	host := sdktest.New(t, New())
	greet(t, host, "once")
	greet(t, host, "twice")
	greet(t, host, "twice")
	message, err := host.Schedule("tidy")
	if err != nil || message != "forgot 1 names" {
		t.Errorf("got %q, %v", message, err)
	}
	if stored := host.Stored(); len(stored) != 1 || stored["count/twice"] != "2" {
		t.Errorf("the store holds %v, want the count of twice alone", stored)
	}
}

func TestForgetGreetings(t *testing.T) {
	host := sdktest.New(t, New())
	greet(t, host, "Ann")
	response, err := host.Route(route.Request{OperationID: "forgetGreetings"})
	if err != nil || response.Status != 204 {
		t.Errorf("got %d, %v; want 204", response.Status, err)
	}
	if stored := host.Stored(); len(stored) != 0 {
		t.Errorf("the store still holds %v", stored)
	}
}

func TestWithoutTheStoreAGreetingIsRefused(t *testing.T) {
	host := sdktest.New(t, New(), sdktest.Without("kv/v1"))
	_, err := host.Route(route.Request{OperationID: "getGreeting", Params: map[string]string{"name": "Ann"}})
	if sdk.CodeOf(err) != sdk.CodeNotGranted {
		t.Errorf("got %v, want %s", err, sdk.CodeNotGranted)
	}
}
