// Command rogue is a plugin's program that breaks the protocol: at its start in
// the way that it was built for, in a call in the way that the call asks for.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	wire "github.com/callboard-dev/callboard/schemas/plugin/process"
	v1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	v2 "github.com/callboard-dev/callboard/schemas/plugin/v2"
)

// mode is how the program begins; the build sets it.
var mode string

// beginnings are the ways to begin wrongly.
func beginnings() map[string]func() {
	say := func(line string) func() { return func() { fmt.Println(line); time.Sleep(time.Hour) } }
	return map[string]func(){
		"leave":   func() { fmt.Fprintln(os.Stderr, "fatal error: no wish to begin"); os.Exit(5) },
		"hang":    func() { time.Sleep(time.Hour) },
		"chat":    say("hello, how are you?"),
		"tcp":     say("1|2|tcp|127.0.0.1:22|grpc|"),
		"outside": say("1|2|unix|/run/other.sock|grpc|"),
		"upwards": say("1|2|unix|" + os.Getenv("PLUGIN_UNIX_SOCKET_DIR") + "/../../x|grpc|"),
		"file": func() {
			_ = os.WriteFile(os.TempDir()+"/x", nil, 0o600)
			say("1|2|unix|" + os.TempDir() + "/x|grpc|")()
		},
		"netrpc":   say("1|2|unix|" + os.Getenv("PLUGIN_UNIX_SOCKET_DIR") + "/x|netrpc|"),
		"old":      say("1|1|unix|" + os.Getenv("PLUGIN_UNIX_SOCKET_DIR") + "/x|grpc|"),
		"swindler": say("1|2|unix|" + os.Getenv("PLUGIN_UNIX_SOCKET_DIR") + "/x|grpc|" + string(bytes.Repeat([]byte("A"), 100))),
	}
}

// acts are the ways to break a call.
func acts() map[string]func(grpc.ServerStream) error {
	say := func(s grpc.ServerStream, m []byte) error { return s.SendMsg(wrapperspb.Bytes(m)) }
	return map[string]func(grpc.ServerStream) error{
		"junk":    func(s grpc.ServerStream) error { return say(s, []byte("this is no result")) },
		"empty":   func(s grpc.ServerStream) error { return say(s, nil) },
		"silent":  func(grpc.ServerStream) error { return nil },
		"failing": func(grpc.ServerStream) error { return status.Error(codes.DataLoss, "it was here a moment ago") },
		"text": func(s grpc.ServerStream) error {
			return say(s, v2.AppendResult(nil, v1.Result{Body: []byte("no JSON")}))
		},
		"latin": func(s grpc.ServerStream) error {
			return say(s, v2.AppendResult(nil, v1.Result{Body: []byte("\"\xff\"")}))
		},
		"huge":    func(s grpc.ServerStream) error { return say(s, make([]byte, 40<<20)) },
		"mumble":  mumble,
		"chatter": chatter,
		"host": func(s grpc.ServerStream) error {
			return exchange(s, v2.AppendHostCall(nil, v1.HostCall{Service: "a/v1", Body: []byte("no JSON")}))
		},
		"hostjunk": func(s grpc.ServerStream) error { return exchange(s, []byte{0xCB, 2, 3, 1, 2, 3}) },
		"hosthuge": func(s grpc.ServerStream) error {
			return exchange(s, v2.AppendHostCall(nil, v1.HostCall{Service: "a/v1", Data: make([]byte, 16<<20)}))
		},
	}
}

// mumble writes more to its output than anybody wants to read.
func mumble(s grpc.ServerStream) error {
	line := bytes.Repeat([]byte("x"), 1<<10)
	for range 4 << 10 {
		fmt.Fprintf(os.Stderr, "%s\n", line)
	}
	return s.SendMsg(wrapperspb.Bytes(v2.AppendResult(nil, v1.Result{Body: []byte("1")})))
}

// chatter makes host calls without waiting for answers.
func chatter(s grpc.ServerStream) error {
	for {
		if err := s.SendMsg(wrapperspb.Bytes(v2.AppendHostCall(nil, v1.HostCall{Service: "a/v1"}))); err != nil {
			return err
		}
	}
}

// exchange makes one host call and answers with what came back.
func exchange(s grpc.ServerStream, call []byte) error {
	if err := s.SendMsg(wrapperspb.Bytes(call)); err != nil {
		return err
	}
	in := &wrapperspb.BytesValue{}
	if err := s.RecvMsg(in); err != nil {
		return err
	}
	return s.SendMsg(wrapperspb.Bytes(in.GetValue()))
}

type guest struct {
	goplugin.NetRPCUnsupportedPlugin
}

// GRPCServer registers the one method.
func (guest) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	s.RegisterService(&grpc.ServiceDesc{ServiceName: wire.Service, HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{{
		StreamName: wire.Method, ServerStreams: true, ClientStreams: true,
		Handler: func(_ any, stream grpc.ServerStream) error {
			in := &wrapperspb.BytesValue{}
			if err := stream.RecvMsg(in); err != nil {
				return err
			}
			call, err := v2.ParseCall(in.GetValue())
			if err != nil {
				return err
			}
			return acts()[call.Method](stream)
		},
	}}}, nil)
	return nil
}

// GRPCClient is the other side's.
func (guest) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}

func main() {
	if begin := beginnings()[mode]; begin != nil {
		begin()
	}
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{MagicCookieKey: wire.CookieKey, MagicCookieValue: wire.CookieValue},
		VersionedPlugins: map[int]goplugin.PluginSet{wire.Protocol: {wire.Name: guest{}}},
		GRPCServer:       goplugin.DefaultGRPCServer, Logger: hclog.NewNullLogger(),
	})
}
