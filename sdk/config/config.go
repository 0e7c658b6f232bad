// Package config reads the instance's configuration: the host service
// config/v1. It is what the tenant's admin wrote, checked against the schema
// in plugin.yaml, with the schema's defaults filled in. Secrets are not in it:
// the host uses them for the plugin.
package config

import (
	"context"
	"slices"

	"github.com/callboard-dev/callboard/schemas/codec"
	v1 "github.com/callboard-dev/callboard/schemas/service/config/v1"
	"github.com/callboard-dev/callboard/sdk"
)

// Into decodes the configuration into v, usually a pointer to a struct with
// json tags.
func Into(ctx context.Context, v any) error {
	out, err := read(ctx)
	if err != nil {
		return err
	}
	if len(out.Config) == 0 {
		return nil
	}
	if err := codec.Unmarshal(out.Config, v); err != nil {
		return sdk.Errorf(sdk.CodeNotReady, "decoding the plugin's configuration: %w", err).
			WithHint("Open the plugin's settings and correct the configuration.")
	}
	return nil
}

// HasSecret says whether the admin has given a value to a secret of
// plugin.yaml. The value itself never reaches a plugin.
func HasSecret(ctx context.Context, name string) (bool, error) {
	out, err := read(ctx)
	return slices.Contains(out.Secrets, name), err
}

func read(ctx context.Context) (v1.Response, error) {
	var out v1.Response
	err := sdk.Do(ctx, v1.Name, v1.MethodGet, nil, &out)
	return out, err
}
