package descriptor

import (
	"net/url"
	"regexp"
	"strings"
)

// The formats of single values, as Backstage's default validators have them.
var (
	objectName  = regexp.MustCompile(`^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$`)
	kindName    = regexp.MustCompile(`^[a-zA-Z][a-z0-9A-Z]*$`)
	dnsLabel    = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	versionName = regexp.MustCompile(`^[a-z0-9A-Z]+$`)
	tagName     = regexp.MustCompile(`^[a-z0-9:+#]+(-[a-z0-9:+#]+)*$`)
	urlScheme   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:`)
)

// specialSchemes are those whose URLs need a host.
var specialSchemes = map[string]bool{"http": true, "https": true, "ws": true, "wss": true, "ftp": true}

// maxName is the longest name, kind, namespace, tag and version.
const maxName = 63

func sized(s string, most int) bool { return len(s) >= 1 && len(s) <= most }

func validName(s string) bool      { return sized(s, maxName) && objectName.MatchString(s) }
func validKind(s string) bool      { return sized(s, maxName) && kindName.MatchString(s) }
func validNamespace(s string) bool { return sized(s, maxName) && dnsLabel.MatchString(s) }
func validTag(s string) bool       { return sized(s, maxName) && tagName.MatchString(s) }
func validLabel(s string) bool     { return s == "" || validName(s) }

func validSubdomain(s string) bool {
	if !sized(s, 253) {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if !sized(label, maxName) || !dnsLabel.MatchString(label) {
			return false
		}
	}
	return true
}

func validVersion(s string) bool {
	prefix, suffix, both := strings.Cut(s, "/")
	if !both {
		prefix, suffix = "", s
	}
	return (!both || validSubdomain(prefix)) && sized(suffix, maxName) && versionName.MatchString(suffix)
}

// validKey is the format of the keys of labels and annotations.
func validKey(s string) bool {
	prefix, suffix, both := strings.Cut(s, "/")
	if !both {
		return validName(s)
	}
	return validSubdomain(prefix) && validName(suffix)
}

// validURL accepts what a browser's URL parser accepts as absolute.
func validURL(s string) bool {
	s = strings.TrimSpace(s)
	if !urlScheme.MatchString(s) {
		return false
	}
	u, err := url.Parse(s)
	if err != nil {
		return false
	}
	return !specialSchemes[strings.ToLower(u.Scheme)] || u.Host != "" || strings.Trim(u.Opaque+u.Path, "/") != ""
}
