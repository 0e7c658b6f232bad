package service

import (
	"context"
	"encoding/json"

	"github.com/callboard-dev/callboard/host/plugin"
	configv1 "github.com/callboard-dev/callboard/schemas/service/config/v1"
)

// Config is config/v1: the instance's configuration, without secrets.
type Config struct{}

var _ plugin.Service = Config{}

// Serve answers one call.
func (Config) Serve(_ context.Context, s *plugin.Session, method string, _ json.RawMessage) (any, error) {
	if method != configv1.MethodGet {
		return nil, unknownMethod(configv1.Name, method)
	}
	return configv1.Response{Config: s.Instance.Config, Secrets: s.Instance.Secrets}, nil
}
