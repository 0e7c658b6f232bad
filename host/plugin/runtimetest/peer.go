package runtimetest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Peer starts a plain go-plugin gRPC plugin, as its users have it: one unary
// method that echoes bytes, over a unix socket without TLS. It returns what
// makes one call. It is what the cost of calls is measured against.
func Peer(t testing.TB) func(ctx context.Context, in []byte) ([]byte, error) {
	t.Helper()
	code := guests.get(t, "peer", func(dir string) *exec.Cmd {
		cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", filepath.Join(dir, wasmFile), "./host/plugin/testdata/peer")
		cmd.Dir = root()
		cmd.Env = append(os.Environ(), "GOFLAGS=", "CGO_ENABLED=0")
		return cmd
	})
	file := filepath.Join(t.TempDir(), "peer")
	if err := os.WriteFile(file, code, 0o700); err != nil {
		t.Fatal(err)
	}
	client := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "PEER", MagicCookieValue: "echo"},
		Plugins:          goplugin.PluginSet{},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC}, Cmd: exec.Command(file), Logger: hclog.NewNullLogger(),
	})
	t.Cleanup(client.Kill)
	protocol, err := client.Client()
	if err != nil {
		t.Fatalf("starting the peer: %v", err)
	}
	conn := protocol.(*goplugin.GRPCClient).Conn
	return func(ctx context.Context, in []byte) ([]byte, error) {
		out := &wrapperspb.BytesValue{}
		err := conn.Invoke(ctx, "/peer.Echo/Echo", wrapperspb.Bytes(in), out, grpc.WaitForReady(false))
		return out.GetValue(), err
	}
}
