//go:build !wasip1

package process

import (
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	wire "github.com/callboard-dev/callboard/schemas/plugin/process"
	"github.com/callboard-dev/callboard/sdk"
)

// The registration: the plugin's main hands its plugin to sdk.Serve, which
// finds here what serves it.
var _ = sdk.Natively(wire.CookieKey, serve)

// serve answers the host's calls until the host ends the process.
func serve(p *sdk.Plugin) {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  plugin.HandshakeConfig{MagicCookieKey: wire.CookieKey, MagicCookieValue: wire.CookieValue},
		VersionedPlugins: map[int]plugin.PluginSet{wire.Protocol: {wire.Name: &door{plugin: p}}},
		GRPCServer:       newServer,
		Logger:           hclog.NewNullLogger(),
	})
}

func newServer(options []grpc.ServerOption) *grpc.Server {
	return grpc.NewServer(append(options, grpc.MaxRecvMsgSize(wire.MaxMessageBytes), grpc.MaxSendMsgSize(wire.MaxMessageBytes))...)
}
