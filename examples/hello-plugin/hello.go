package main

import (
	"fmt"
	"time"

	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/config"
	"github.com/callboard-dev/callboard/sdk/kv"
	"github.com/callboard-dev/callboard/sdk/log"
	"github.com/callboard-dev/callboard/sdk/route"
	"github.com/callboard-dev/callboard/sdk/schedule"
	"github.com/callboard-dev/callboard/sdk/view"
)

// New returns the plugin: the table of what plugin.yaml names.
func New() *sdk.Plugin {
	return sdk.New(
		route.Handle("getGreeting", getGreeting),
		route.Handle("forgetGreetings", forgetGreetings),
		view.Render("greeting", greeting),
		schedule.Run("tidy", tidy),
	)
}

// settings is the instance's configuration.
type settings struct {
	Greeting string `json:"greeting"`
}

// countKey is where the count of a name is stored.
func countKey(name string) string { return "count/" + name }

// getGreeting greets and counts.
func getGreeting(ctx *sdk.Context, r route.Request) (route.Response, error) {
	var s settings
	if err := config.Into(ctx, &s); err != nil {
		return route.Response{}, err
	}
	name := r.Param("name")
	count, err := countUp(ctx, name)
	if err != nil {
		return route.Response{}, err
	}
	return route.JSON(struct {
		Text  string `json:"text"`
		Count int    `json:"count"`
	}{s.Greeting + ", " + name + "!", count})
}

// countUp adds one to the count of a name. Two calls at the same moment may
// count as one: a greeting is not worth a lock.
func countUp(ctx *sdk.Context, name string) (int, error) {
	var count int
	if _, err := kv.GetJSON(ctx, countKey(name), &count); err != nil {
		return 0, err
	}
	count++
	return count, kv.SetJSON(ctx, countKey(name), count, kv.Forever)
}

// forgetGreetings empties the store.
func forgetGreetings(ctx *sdk.Context, _ route.Request) (route.Response, error) {
	if _, err := forget(ctx, func(int) bool { return true }); err != nil {
		return route.Response{}, err
	}
	return route.NoContent()
}

// greeting shows how often the entity was greeted, on its overview.
func greeting(ctx *sdk.Context, r view.Request) (view.Tree, error) {
	entity, err := r.EntityDoc()
	if err != nil {
		return view.Tree{}, err
	}
	name := entity.Metadata.Name
	var count int
	found, err := kv.GetJSON(ctx, countKey(name), &count)
	if err != nil {
		return view.Tree{}, err
	}
	greet := view.FormOf(view.Action{Label: "Greet", Operation: "getGreeting", Params: map[string]string{"name": name}})
	if !found {
		return view.Of(view.Nothing("Nobody has greeted "+entity.Title()+" yet", "Be the first.", ""), greet), nil
	}
	return view.Of(view.StatRow(view.Stat{Label: "Greetings", Value: fmt.Sprint(count), Tone: view.Good}), greet), nil
}

// tidy forgets names that were greeted only once.
func tidy(ctx *sdk.Context, _ time.Time) (string, error) {
	forgotten, err := forget(ctx, func(count int) bool { return count <= 1 })
	if err != nil {
		return "", err
	}
	log.Info(ctx, "tidied up", "forgotten", forgotten)
	return fmt.Sprintf("forgot %d names", forgotten), nil
}

// forget deletes the counts that the predicate names and says how many.
func forget(ctx *sdk.Context, which func(count int) bool) (int, error) {
	forgotten := 0
	for key, err := range kv.Keys(ctx, countKey("")) {
		if err != nil {
			return forgotten, err
		}
		var count int
		found, err := kv.GetJSON(ctx, key, &count)
		if err != nil {
			return forgotten, err
		}
		if !found || !which(count) {
			continue
		}
		if err := kv.Delete(ctx, key); err != nil {
			return forgotten, err
		}
		forgotten++
	}
	return forgotten, nil
}
