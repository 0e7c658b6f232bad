package process

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	wire "github.com/callboard-dev/callboard/schemas/plugin/process"
	v1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	v2 "github.com/callboard-dev/callboard/schemas/plugin/v2"
	"github.com/callboard-dev/callboard/sdk"
)

// offer is an offer of the test's own door.
func offer(name string, h sdk.Handler) sdk.Option {
	return sdk.Offer{Capability: "test/v1", Method: "do", Name: name, Handle: h, Decode: func(body json.RawMessage) (string, any, error) {
		var text string
		err := json.Unmarshal(body, &text)
		return text, text, err
	}}
}

// line is the host's side of one call.
type line struct {
	t *testing.T
	grpc.ClientStream
}

// call begins a call of a plugin behind a real socket.
func call(t *testing.T, name string, offers ...sdk.Option) line {
	t.Helper()
	l := dial(t, sdk.New(offers...))
	body, err := json.Marshal(name)
	if err != nil {
		t.Fatal(err)
	}
	l.say(v2.AppendCall(nil, v1.Call{Capability: "test/v1", Method: "do", Tenant: "acme", Body: body}))
	return l
}

func dial(t *testing.T, p *sdk.Plugin) line {
	t.Helper()
	server := newServer(nil)
	if err := (&door{plugin: p}).GRPCServer(nil, server); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	conn, err := grpc.NewClient("unix:"+l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/"+wire.Service+"/"+wire.Method)
	if err != nil {
		t.Fatal(err)
	}
	return line{t, stream}
}

func (l line) say(message []byte) {
	l.t.Helper()
	if err := l.SendMsg(wrapperspb.Bytes(message)); err != nil {
		l.t.Fatal(err)
	}
}

func (l line) hear() []byte {
	l.t.Helper()
	m := &wrapperspb.BytesValue{}
	if err := l.RecvMsg(m); err != nil {
		l.t.Fatal(err)
	}
	return m.GetValue()
}

// result hears the call's result and the end of the stream.
func (l line) result() v1.Result {
	l.t.Helper()
	r, err := v2.ParseResult(l.hear())
	if err != nil {
		l.t.Fatal(err)
	}
	if err := l.RecvMsg(&wrapperspb.BytesValue{}); err != io.EOF {
		l.t.Errorf("after the result comes %v", err)
	}
	return r
}

// ask is a handler that calls the host once.
func ask(ctx *sdk.Context, _ any) (any, error) {
	var said string
	err := sdk.Do(ctx, "stage/v1", "do", nil, &said)
	return said, err
}

func TestACallIsAnswered(t *testing.T) {
	l := call(t, "tenant", offer("tenant", func(ctx *sdk.Context, _ any) (any, error) { return ctx.Tenant(), nil }))
	if r := l.result(); string(r.Body) != `"acme"` {
		t.Errorf("got %s %v", r.Body, r.Error)
	}
}

func TestHostCallsAreAnsweredInTheirOrder(t *testing.T) {
	l := call(t, "many", offer("many", func(ctx *sdk.Context, _ any) (any, error) {
		said := make(chan string, 3)
		for range 3 {
			go func() {
				var text string
				if err := sdk.Do(ctx, "stage/v1", "do", nil, &text); err != nil {
					text = err.Error()
				}
				said <- text
			}()
		}
		return <-said + <-said + <-said, nil
	}))
	for range 3 {
		h, err := v2.ParseHostCall(l.hear())
		if err != nil || h.Service != "stage/v1" {
			t.Fatalf("got %+v, %v", h, err)
		}
		l.say(v2.AppendResult(nil, v1.Result{Body: []byte(`"a"`)}))
	}
	if r := l.result(); string(r.Body) != `"aaa"` {
		t.Errorf("got %s %v", r.Body, r.Error)
	}
}

func TestAnAnswerThatCannotBeReadIsAnError(t *testing.T) {
	l := call(t, "ask", offer("ask", ask))
	l.hear()
	l.say([]byte("no result"))
	if r := l.result(); r.Error == nil || r.Error.Code != v1.CodeInternal {
		t.Errorf("got %s %v", r.Body, r.Error)
	}
}

func TestTheHostEndsACall(t *testing.T) {
	t.Run("that works", func(t *testing.T) {
		l := call(t, "work", offer("work", func(ctx *sdk.Context, _ any) (any, error) {
			<-ctx.Done()
			return "stopped", nil
		}))
		if err := l.CloseSend(); err != nil {
			t.Fatal(err)
		}
		if r := l.result(); string(r.Body) != `"stopped"` {
			t.Errorf("got %s %v", r.Body, r.Error)
		}
	})
	t.Run("that waits for it", func(t *testing.T) {
		l := call(t, "ask", offer("ask", ask))
		l.hear()
		if err := l.CloseSend(); err != nil {
			t.Fatal(err)
		}
		if r := l.result(); r.Error == nil || r.Error.Code != v1.CodeTimeout {
			t.Errorf("got %s %v", r.Body, r.Error)
		}
	})
}

func TestWhatAHandlerLeftBehindIsRefused(t *testing.T) {
	later := make(chan *sdk.Context, 1)
	l := call(t, "leave", offer("leave", func(ctx *sdk.Context, _ any) (any, error) { later <- ctx; return 1, nil }))
	l.result()
	ctx := <-later
	if err := sdk.Do(ctx, "stage/v1", "do", nil, nil); sdk.CodeOf(err) != sdk.CodeTimeout && ctx.Err() == nil {
		t.Errorf("got %v", err)
	}
}

func TestAStreamBeginsWithACall(t *testing.T) {
	l := dial(t, sdk.New())
	l.say([]byte(`{"abi":1}`))
	if err := l.RecvMsg(&wrapperspb.BytesValue{}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("got %v", err)
	}
}

func TestAPluginHasNoClientSide(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := (&door{}).GRPCClient(ctx, nil, nil); err == nil {
		t.Error("there is one")
	}
}
