// Package fault translates failures between host and guest, each way in one
// place: what a host service's failure is called inside a plugin, and what a
// plugin's failure is called in the portal.
package fault

import (
	"bytes"
	"errors"
	"time"

	"github.com/callboard-dev/callboard/host"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// guestCode is what one of the host's codes is called inside a guest; the
// codes that are not named are internal.
func guestCode(c host.Code) string {
	switch c {
	case host.CodeInvalid:
		return pluginv1.CodeInvalid
	case host.CodeTooLarge, host.CodeLimit, host.CodeQuota:
		return pluginv1.CodeLimit
	case host.CodeNotFound:
		return pluginv1.CodeNotFound
	case host.CodeForbidden, host.CodeUnauthenticated:
		return pluginv1.CodeForbidden
	case host.CodeNotGranted:
		return pluginv1.CodeNotGranted
	case host.CodePluginNotReady:
		return pluginv1.CodeNotReady
	case host.CodeConflict, host.CodePrecondition:
		return pluginv1.CodeConflict
	case host.CodeRateLimited:
		return pluginv1.CodeRateLimited
	case host.CodePluginTimeout:
		return pluginv1.CodeTimeout
	case host.CodeUpstream, host.CodeUnavailable:
		return pluginv1.CodeUpstream
	case host.CodeUnauthorised:
		return pluginv1.CodeUnauthorised
	}
	return ""
}

// hostCode is what one of a guest's codes is called in the portal; a code that
// is not named is a crash.
func hostCode(c string) host.Code {
	switch c {
	case pluginv1.CodeInvalid:
		return host.CodeInvalid
	case pluginv1.CodeNotFound:
		return host.CodeNotFound
	case pluginv1.CodeForbidden:
		return host.CodeForbidden
	case pluginv1.CodeUnauthorised:
		return host.CodeUnauthorised
	case pluginv1.CodeNotGranted:
		return host.CodeNotGranted
	case pluginv1.CodeNotReady:
		return host.CodePluginNotReady
	case pluginv1.CodeConflict:
		return host.CodeConflict
	case pluginv1.CodeLimit:
		return host.CodeLimit
	case pluginv1.CodeRateLimited:
		return host.CodeRateLimited
	case pluginv1.CodeTimeout:
		return host.CodePluginTimeout
	case pluginv1.CodeUpstream:
		return host.CodeUpstream
	case pluginv1.CodeUnsupported:
		return host.CodePluginUnsupported
	}
	return host.CodePluginTrap
}

// ToGuest returns what a guest is told of a host service's failure. A failure
// that is none of the guest's business is ok false: it belongs in the log.
func ToGuest(err error) (e *pluginv1.Error, ok bool) {
	var typed *pluginv1.Error
	if errors.As(err, &typed) {
		return typed, true
	}
	he := host.AsError(err)
	code := guestCode(he.Code)
	if code == "" {
		return &pluginv1.Error{Code: pluginv1.CodeInternal, Message: "the host service failed"}, false
	}
	return &pluginv1.Error{Code: code, Message: he.Message, Hint: he.Hint, Retryable: he.Retryable, RetryAfterSeconds: int(he.RetryAfter.Seconds())}, true
}

// Refuses reports whether a host service's answer says that it did nothing: the
// call was wrong, unknown or not allowed. Such a call uses no grant.
func Refuses(e *pluginv1.Error) bool {
	if e == nil {
		return false
	}
	switch e.Code {
	case pluginv1.CodeNotGranted, pluginv1.CodeUnsupported, pluginv1.CodeForbidden, pluginv1.CodeInvalid:
		return true
	}
	return false
}

// FromGuest returns a guest's failure as the portal's.
func FromGuest(e *pluginv1.Error) *host.Error {
	out := &host.Error{Code: hostCode(e.Code), Message: Short(e.Message), Hint: Short(e.Hint), Retryable: e.Retryable}
	if e.RetryAfterSeconds > 0 {
		out.RetryAfter = time.Duration(min(e.RetryAfterSeconds, 86400)) * time.Second
	}
	if out.Message == "" {
		out.Message = "the plugin failed without a message"
	}
	return out
}

// maxText is how much of a guest's message is passed on.
const maxText = 2000

// Short cuts a guest's text to what may be shown, as valid UTF-8.
func Short(s string) string {
	if len(s) > maxText {
		s = s[:maxText] + "…"
	}
	return string(bytes.ToValidUTF8([]byte(s), nil))
}

// Blames reports whether a failure says something about the plugin itself: it
// crashed, ran away, answered nonsense or could not be started. What the
// plugin reports of its upstreams or of its input does not.
func Blames(err error) bool {
	switch host.CodeOf(err) {
	case host.CodePluginTimeout, host.CodePluginMemory, host.CodePluginTrap, host.CodePluginOutput, host.CodePluginFuel:
		return true
	}
	return false
}

// Excusable reports whether a failure policy may stand in for a failure: the
// plugin or what is behind it failed, or there is no room. What is wrong with
// the request, or not allowed, stays an error.
func Excusable(err error) bool {
	switch host.CodeOf(err) {
	case host.CodeUnavailable, host.CodeUpstream, host.CodeUnauthorised, host.CodeRateLimited:
		return true
	}
	return Blames(err)
}

// Named puts the plugin's name in front of a failure for which it is to blame,
// or which says that it has no room.
func Named(short string, err error) error {
	if err == nil {
		return nil // and nothing is made for the many calls that go well
	}
	var he *host.Error
	if !errors.As(err, &he) {
		return err
	}
	out := *he
	if Blames(err) || he.Code == host.CodeUnavailable || he.Code == host.CodeTooLarge || he.Code == host.CodeQuota {
		out.Message = "plugin " + short + ": " + he.Message
	}
	return &out
}
