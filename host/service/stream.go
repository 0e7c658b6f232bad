package service

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	streamv1 "github.com/callboard-dev/callboard/schemas/service/stream/v1"
)

// Streams is stream/v1: it moves bytes through the handles of the call. It
// needs no grant: what can be opened is decided where a handle comes from.
type Streams struct{}

var _ plugin.Service = Streams{}

// Serve answers one call.
func (k Streams) Serve(ctx context.Context, s *plugin.Session, call pluginv1.HostCall) (any, error) {
	switch call.Method {
	case streamv1.MethodRead:
		return k.read(ctx, s, call.Body)
	case streamv1.MethodWrite:
		return nil, k.write(ctx, s, call)
	case streamv1.MethodBegin:
		in, err := read[streamv1.BeginRequest](call.Body)
		if err != nil {
			return nil, err
		}
		end, err := s.End(in.Handle)
		if err != nil {
			return nil, err
		}
		return nil, end.Begin(ctx, in)
	case streamv1.MethodClose:
		in, err := read[streamv1.CloseRequest](call.Body)
		if err != nil {
			return nil, err
		}
		return nil, s.Release(in.Handle)
	}
	return nil, unknownMethod(streamv1.Name, call.Method)
}

func (Streams) read(ctx context.Context, s *plugin.Session, body json.RawMessage) (any, error) {
	in, err := read[streamv1.ReadRequest](body)
	if err != nil {
		return nil, err
	}
	if in.Max == 0 {
		in.Max = streamv1.DefaultChunk
	}
	if in.Max < 0 {
		return nil, host.Errorf(host.CodeInvalid, "max is negative")
	}
	end, err := s.End(in.Handle)
	if err != nil {
		return nil, err
	}
	buffer := make([]byte, min(in.Max, streamv1.MaxChunk))
	n, err := end.Read(ctx, buffer)
	over := errors.Is(err, io.EOF)
	if err != nil && !over {
		return nil, err
	}
	return plugin.Attached{Body: streamv1.ReadResponse{EOF: over}, Data: buffer[:n]}, nil
}

func (Streams) write(ctx context.Context, s *plugin.Session, call pluginv1.HostCall) error {
	in, err := read[streamv1.WriteRequest](call.Body)
	if err != nil {
		return err
	}
	if len(call.Data) > streamv1.MaxChunk {
		return host.Errorf(host.CodeTooLarge, "%d bytes are written at once, at most %d are allowed", len(call.Data), streamv1.MaxChunk)
	}
	end, err := s.End(in.Handle)
	if err != nil {
		return err
	}
	return end.Write(ctx, call.Data)
}
