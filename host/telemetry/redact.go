package telemetry

import (
	"regexp"
	"strings"
)

// redacted stands where a secret was.
const redacted = "[redacted]"

// secrets are the forms that a credential takes inside other text: our own
// tokens, Authorization values, passwords in URLs, query parameters and JSON
// members that say so.
var secrets = []struct {
	form *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`\bcb_[A-Za-z0-9_\-]{6,}`), "cb_" + redacted},
	{regexp.MustCompile(`(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=\-]{6,}`), "$1 " + redacted},
	{regexp.MustCompile(`(://[^/\s:@]*:)[^/\s@]+@`), "$1" + redacted + "@"},
	{regexp.MustCompile(`(?i)([?&](?:token|access_token|api_key|apikey|key|password|secret|sig|link)=)[^&\s"]+`), "$1" + redacted},
	{regexp.MustCompile(`(?i)("[^"]*(?:password|secret|token|authorization|cookie|api_?key)[^"]*"\s*:\s*")[^"]*"`), "$1" + redacted + `"`},
}

// Redact returns s with everything that looks like a credential replaced.
func Redact(s string) string {
	for _, x := range secrets {
		s = x.form.ReplaceAllString(s, x.with)
	}
	return s
}

// mayHoldSecret is the cheap question before the expressions.
func mayHoldSecret(s string) bool {
	return strings.Contains(s, "cb_") || strings.Contains(s, "://") || strings.ContainsAny(s, "?&\"") || len(s) > 12 && strings.ContainsRune(s, ' ')
}
