package ui

import (
	"net/url"
	"strings"
)

// SafeURL reports whether a link that strangers wrote may be shown as one:
// http, https or mailto with a target, or a path within the portal.
func SafeURL(raw string) bool {
	if strings.ContainsAny(raw, "\\\x00\t\r\n") {
		return false
	}
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	switch u.Scheme {
	case "http", "https":
		return u.Host != ""
	case "mailto":
		return u.Opaque != ""
	case "":
		return u.Host == "" && strings.HasPrefix(raw, "/") && !strings.HasPrefix(raw, "//")
	}
	return false
}
