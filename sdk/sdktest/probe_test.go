package sdktest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/route"
	"github.com/callboard-dev/callboard/sdk/schedule"
	"github.com/callboard-dev/callboard/sdk/sdktest"
	"github.com/callboard-dev/callboard/sdk/view"
)

// manifestText is the manifest of the tests' plugin: one operation "act", one
// view "look", one schedule "tick", and every service.
const manifestText = `
$schema: ./plugin.schema.json
name: acme/probe
version: "1.0.0"
title: Probe
description: Probes.
callboard: ">=0.1.0"
runtime: wasm
capabilities:
  - type: route/v1
    openapi:
      paths:
        /act/{id}:
          parameters:
            - { name: page, in: query, schema: { type: integer, default: 1 } }
          post:
            operationId: act
            parameters:
              - { $ref: "#/components/parameters/range" }
              - { name: id, in: path, required: true, schema: { type: string } }
            responses:
              "200": { description: OK }
              "4XX": { description: No }
      components:
        parameters:
          range: { name: range, in: query, schema: { type: string, default: 1h } }
  - type: view/v1
    views: [{ id: look, slot: entity.tab, title: Look }]
  - type: schedule/v1
    schedules: [{ id: tick, every: 5m }]
permissions:
  - type: http/v1
    reason: Asks the upstream.
    hosts: ["https://api.example.com", "${config.url}", "https://*.wild.example:8443", "${config.more[].url}"]
    auth: { type: bearer, secret: token }
  - type: http/v1
    reason: Asks the upstream.
    hosts: ["https://api.example.com"]
    auth: { type: basic, secret: password, username: "${config.user}" }
  - type: http/v1
    reason: Asks with a key.
    hosts: ["https://header.example"]
    auth: { type: header, secret: key, name: X-Key }
  - type: http/v1
    reason: Asks with a key.
    hosts: ["https://query.example"]
    auth: { type: query, secret: key, name: key }
  - type: kv/v1
    reason: Remembers.
    quota: 1KiB
  - type: catalog/v1
    reason: Reads.
    kinds: [Component]
config:
  schema:
    type: object
    properties:
      url: { type: string, default: "http://default.example:9090" }
      user: { type: string, default: robot }
      deep: { type: object, default: {}, properties: { n: { type: integer, default: 3 } } }
      more: { type: array, items: { type: object } }
secrets:
  - { name: token, title: T, reason: R }
  - { name: password, title: P, reason: R }
  - { name: key, title: K, reason: R, required: true }
`

// probe is a plugin whose parts a test gives; what it leaves out does nothing.
type probe struct {
	act  route.Handler
	look view.Handler
	tick schedule.Handler
}

func (p probe) plugin() *sdk.Plugin {
	if p.act == nil {
		p.act = func(*sdk.Context, route.Request) (route.Response, error) { return route.JSON(nil) }
	}
	if p.look == nil {
		p.look = func(*sdk.Context, view.Request) (view.Tree, error) { return view.Of(), nil }
	}
	if p.tick == nil {
		p.tick = func(*sdk.Context, time.Time) (string, error) { return "", nil }
	}
	return sdk.New(route.Handle("act", p.act), view.Render("look", p.look), schedule.Run("tick", p.tick))
}

// manifestFile writes a manifest and returns its path.
func manifestFile(t *testing.T, text string) sdktest.Option {
	t.Helper()
	file := filepath.Join(t.TempDir(), "plugin.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return sdktest.Manifest(file)
}

// within runs f as a call of the probe's operation and returns its error.
func within(t *testing.T, f func(ctx *sdk.Context) error, options ...sdktest.Option) (*sdktest.Host, error) {
	t.Helper()
	p := probe{act: func(ctx *sdk.Context, _ route.Request) (route.Response, error) {
		if err := f(ctx); err != nil {
			return route.Response{}, err
		}
		return route.JSON("done")
	}}
	h := sdktest.New(t, p.plugin(), append([]sdktest.Option{manifestFile(t, manifestText)}, options...)...)
	_, err := h.Route(route.Request{OperationID: "act"})
	return h, err
}

// recorder is a TB that keeps what a test would have failed with.
type recorder struct {
	ctx    context.Context
	faults []string
}

func (*recorder) Helper()                    {}
func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) Errorf(format string, args ...any) {
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}
func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(r)
}

// faultsOf runs f with a recorder and returns what a test would have said.
func faultsOf(t *testing.T, f func(tb sdktest.TB)) string {
	t.Helper()
	r := &recorder{ctx: t.Context()}
	func() {
		defer func() {
			if v := recover(); v != nil && v != any(r) {
				panic(v)
			}
		}()
		f(r)
	}()
	return strings.Join(r.faults, "\n")
}
