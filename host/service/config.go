package service

import (
	"context"

	"github.com/callboard-dev/callboard/host/plugin"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	configv1 "github.com/callboard-dev/callboard/schemas/service/config/v1"
)

// Config is config/v1: the instance's configuration, without secrets.
type Config struct{}

var _ plugin.Service = Config{}

// Serve answers one call.
func (Config) Serve(_ context.Context, s *plugin.Session, call pluginv1.HostCall) (any, error) {
	if call.Method != configv1.MethodGet {
		return nil, unknownMethod(configv1.Name, call.Method)
	}
	return configv1.Response{Config: s.Instance.Config, Secrets: s.Instance.Secrets}, nil
}
