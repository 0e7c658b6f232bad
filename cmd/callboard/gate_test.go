package main

import (
	"context"
	"io"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/auth"
	"github.com/callboard-dev/callboard/host/config"
	"github.com/callboard-dev/callboard/host/store"
)

func TestDecisionsAreTraced(t *testing.T) {
	d, err := openData(t.Context(), config.Config{Data: t.TempDir()}, store.Settings{}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer d.db.Close()
	acme, err := d.tenants.Create(t.Context(), "acme", "Acme", false)
	if err != nil {
		t.Fatal(err)
	}
	secret, _, err := d.auth.CreateToken(t.Context(), system(acme), auth.NewToken{Label: "x", Role: host.RoleViewer, Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	spans := tracetest.NewSpanRecorder()
	g := gate{d.auth, sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("test")}
	decide := func(ctx context.Context) {
		c, err := g.Authenticate(ctx, auth.Credentials{Bearer: secret})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.Authenticate(ctx, auth.Credentials{Bearer: "cb_nonsense"}); host.CodeOf(err) != host.CodeUnauthenticated {
			t.Errorf("nonsense: %v", err)
		}
		if err := g.Authorize(ctx, c, host.ActionCatalogRead, "*"); err != nil {
			t.Error(err)
		}
		if err := g.Authorize(ctx, c, host.ActionPluginManage, "*"); host.CodeOf(err) != host.CodeForbidden {
			t.Errorf("a viewer manages plugins: %v", err)
		}
	}
	decide(t.Context())
	if n := len(spans.Ended()); n != 0 {
		t.Fatalf("%d spans outside of a recorded request", n)
	}
	ctx, request := g.tracer.Start(t.Context(), "request")
	decide(ctx)
	var got []string
	for _, s := range spans.Ended() {
		if s.Parent().SpanID() != trace.SpanContextFromContext(ctx).SpanID() {
			t.Errorf("%s is not the request's", s.Name())
		}
		for _, a := range s.Attributes() {
			if a.Key == "outcome" {
				got = append(got, s.Name()+" "+a.Value.AsString())
			}
		}
	}
	request.End()
	want := []string{"auth.authenticate allowed", "auth.authenticate unauthenticated", "auth.authorize allowed", "auth.authorize forbidden"}
	if len(got) != len(want) {
		t.Fatalf("spans %q", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("span %d is %q, want %q", i, got[i], want[i])
		}
	}
}
