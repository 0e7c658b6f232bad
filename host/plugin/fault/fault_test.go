package fault

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

func TestToGuest(t *testing.T) {
	for code, want := range map[host.Code]string{
		host.CodeInvalid: pluginv1.CodeInvalid, host.CodeTooLarge: pluginv1.CodeLimit, host.CodeLimit: pluginv1.CodeLimit, host.CodeQuota: pluginv1.CodeLimit,
		host.CodeNotFound: pluginv1.CodeNotFound, host.CodeForbidden: pluginv1.CodeForbidden, host.CodeUnauthenticated: pluginv1.CodeForbidden,
		host.CodeNotGranted: pluginv1.CodeNotGranted, host.CodePluginNotReady: pluginv1.CodeNotReady, host.CodeConflict: pluginv1.CodeConflict,
		host.CodePrecondition: pluginv1.CodeConflict, host.CodeRateLimited: pluginv1.CodeRateLimited, host.CodePluginTimeout: pluginv1.CodeTimeout,
		host.CodeUpstream: pluginv1.CodeUpstream, host.CodeUnavailable: pluginv1.CodeUpstream, host.CodeUnauthorised: pluginv1.CodeUnauthorised,
	} {
		e, ours := ToGuest(host.Errorf(code, "so it is"))
		if !ours || e.Code != want || e.Message != "so it is" {
			t.Errorf("%s: %+v, %v", code, e, ours)
		}
	}
	for _, err := range []error{errors.New("a secret of the database"), host.Errorf(host.CodeInternal, "a secret of the database")} {
		if e, ours := ToGuest(err); ours || e.Code != pluginv1.CodeInternal || strings.Contains(e.Message, "secret") {
			t.Errorf("%v: %+v, %v", err, e, ours)
		}
	}
	typed := &pluginv1.Error{Code: "odd", Message: "as it came"}
	if e, ours := ToGuest(typed); !ours || e != typed {
		t.Errorf("got %+v", e)
	}
	again := true
	if e, _ := ToGuest(&host.Error{Code: host.CodeUpstream, RetryAfter: 3 * time.Second, Retryable: &again}); e.RetryAfterSeconds != 3 || e.Retryable == nil {
		t.Errorf("got %+v", e)
	}
}

func TestFromGuest(t *testing.T) {
	for code, want := range map[string]host.Code{
		pluginv1.CodeInvalid: host.CodeInvalid, pluginv1.CodeNotFound: host.CodeNotFound, pluginv1.CodeForbidden: host.CodeForbidden,
		pluginv1.CodeNotGranted: host.CodeNotGranted, pluginv1.CodeNotReady: host.CodePluginNotReady, pluginv1.CodeConflict: host.CodeConflict,
		pluginv1.CodeLimit: host.CodeLimit, pluginv1.CodeRateLimited: host.CodeRateLimited, pluginv1.CodeTimeout: host.CodePluginTimeout,
		pluginv1.CodeUpstream: host.CodeUpstream, pluginv1.CodeUnauthorised: host.CodeUnauthorised, pluginv1.CodeUnsupported: host.CodePluginUnsupported,
		pluginv1.CodeInternal: host.CodePluginTrap, "made up": host.CodePluginTrap,
	} {
		if e := FromGuest(&pluginv1.Error{Code: code, Message: "m"}); e.Code != want {
			t.Errorf("%s: %s, want %s", code, e.Code, want)
		}
	}
	e := FromGuest(&pluginv1.Error{Code: pluginv1.CodeUpstream, Hint: strings.Repeat("x", 5000) + "\xff", RetryAfterSeconds: 1 << 30})
	if e.Message == "" || len(e.Hint) > 2010 || e.RetryAfter != 24*time.Hour {
		t.Errorf("got %+v", e)
	}
}

func TestRefuses(t *testing.T) {
	for code, want := range map[string]bool{
		pluginv1.CodeNotGranted: true, pluginv1.CodeUnsupported: true, pluginv1.CodeForbidden: true, pluginv1.CodeInvalid: true,
		pluginv1.CodeNotFound: false, pluginv1.CodeUpstream: false, pluginv1.CodeConflict: false,
	} {
		if Refuses(&pluginv1.Error{Code: code}) != want {
			t.Error(code)
		}
	}
	if Refuses(nil) {
		t.Error("an answer without an error refuses nothing")
	}
}

func TestWhoIsToBlame(t *testing.T) {
	for code, want := range map[host.Code][2]bool{ // blames the plugin, may be excused
		host.CodePluginTrap: {true, true}, host.CodePluginFuel: {true, true}, host.CodePluginTimeout: {true, true}, host.CodePluginMemory: {true, true},
		host.CodePluginOutput: {true, true}, host.CodeUnavailable: {false, true}, host.CodeUpstream: {false, true}, host.CodeRateLimited: {false, true},
		host.CodeInvalid: {false, false}, host.CodeQuota: {false, false}, host.CodeForbidden: {false, false}, host.CodePluginUnsupported: {false, false},
	} {
		err := host.Errorf(code, "m")
		if Blames(err) != want[0] || Excusable(err) != want[1] {
			t.Errorf("%s: %v, %v", code, Blames(err), Excusable(err))
		}
	}
}

func TestNamed(t *testing.T) {
	if Named("board", nil) != nil {
		t.Error("nothing became something")
	}
	plain := errors.New("plain")
	if Named("board", plain) != plain {
		t.Error("what nobody typed was changed")
	}
	first := host.Errorf(host.CodePluginTrap, "it crashed")
	if got := Named("board", first); got.Error() != "plugin board: it crashed" || first.Message != "it crashed" {
		t.Errorf("got %v, and %v before", got, first)
	}
	if got := Named("board", host.Errorf(host.CodeNotFound, "no such thing")); got.Error() != "no such thing" {
		t.Errorf("got %v", got)
	}
}
