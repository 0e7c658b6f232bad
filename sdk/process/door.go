//go:build !wasip1

package process

import (
	"context"
	"errors"
	"sync"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	wire "github.com/callboard-dev/callboard/schemas/plugin/process"
	v1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	v2 "github.com/callboard-dev/callboard/schemas/plugin/v2"
	"github.com/callboard-dev/callboard/sdk"
)

// door is the service of guest.proto.
type door struct {
	plugin.NetRPCUnsupportedPlugin
	plugin *sdk.Plugin
}

// GRPCServer registers the service.
func (d *door) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: wire.Service,
		HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{
			StreamName: wire.Method, ServerStreams: true, ClientStreams: true,
			Handler: func(_ any, stream grpc.ServerStream) error { return d.call(stream) },
		}},
		Metadata: "guest.proto",
	}, d)
	return nil
}

// GRPCClient is the host's side, which is not here.
func (d *door) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("a plugin has no client side")
}

// call answers one call of the envelope.
func (d *door) call(stream grpc.ServerStream) error {
	in := &wrapperspb.BytesValue{}
	if err := stream.RecvMsg(in); err != nil {
		return err
	}
	if !v2.Is(in.GetValue()) {
		return status.Error(codes.InvalidArgument, "the first message of a stream is a call of ABI 2")
	}
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	t := &talk{stream: stream, ended: ctx.Done(), answers: make(chan []byte)}
	go t.listen(cancel)
	out := d.plugin.Call(ctx, t.host, in.GetValue())
	return t.finish(out)
}

// talk is the stream of one call.
type talk struct {
	stream  grpc.ServerStream
	ended   <-chan struct{}
	answers chan []byte
	// turn lets one host call speak at a time.
	turn sync.Mutex
	over bool // guarded by turn
}

// listen hands the host's answers to the host call that waits for one. When
// the host has closed its side, the call's time is over.
func (t *talk) listen(cancel context.CancelFunc) {
	defer cancel()
	for {
		in := &wrapperspb.BytesValue{}
		if err := t.stream.RecvMsg(in); err != nil {
			return
		}
		select {
		case t.answers <- in.GetValue():
		case <-t.ended:
			return
		}
	}
}

// host passes a host call on and waits for its answer.
func (t *talk) host(ctx context.Context, call v1.HostCall) v1.Result {
	t.turn.Lock()
	defer t.turn.Unlock()
	if t.over || ctx.Err() != nil {
		return late()
	}
	if err := t.stream.SendMsg(wrapperspb.Bytes(v2.AppendHostCall(nil, call))); err != nil {
		return late()
	}
	// The answer must be taken even if ctx ends first: the next host call
	// would get it.
	select {
	case answer := <-t.answers:
		result, err := v2.ParseResult(answer)
		if err != nil {
			return refused(v1.CodeInternal, "decoding the host's answer: "+err.Error())
		}
		return result
	case <-t.ended:
		return late()
	}
}

// finish sends the call's result. What a goroutine that the handler left
// behind asks for later is refused.
func (t *talk) finish(out []byte) error {
	t.turn.Lock()
	defer t.turn.Unlock()
	t.over = true
	return t.stream.SendMsg(wrapperspb.Bytes(out))
}

func late() v1.Result { return refused(v1.CodeTimeout, "the time of the call is over") }

func refused(code, message string) v1.Result {
	return v1.Result{Error: &v1.Error{Code: code, Message: message}}
}
