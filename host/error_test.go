package host

import (
	"errors"
	"fmt"
	"testing"
)

func TestPermanent(t *testing.T) {
	yes, no := true, false
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"Nil":                {nil, false},
		"Untyped":            {errors.New("x"), false},
		"Invalid":            {Errorf(CodeInvalid, "x"), true},
		"Wrapped":            {fmt.Errorf("y: %w", Errorf(CodeUnauthorised, "x")), true},
		"NotImplemented":     {Errorf(CodePluginUnsupported, "x"), true},
		"Upstream":           {Errorf(CodeUpstream, "x"), false},
		"NotReadyIsSetLater": {Errorf(CodePluginNotReady, "x"), false},
		"SaidRetryable":      {&Error{Code: CodeInvalid, Retryable: &yes}, false},
		"SaidPermanent":      {&Error{Code: CodeUpstream, Retryable: &no}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Permanent(c.err); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
