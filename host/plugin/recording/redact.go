package recording

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Redact replaces what looks like a credential, and every one of the known
// secrets, wherever it stands: under a name that says so, in a form that
// services give their tokens, in text, in JSON inside text and in base64. What
// is replaced keeps its length. It returns how many places there were; the
// outcome of the recording is then that of another input, so it must be made
// again (Recorder does).
func (r *Recording) Redact(secrets []string) int {
	d := &redactor{secrets: formsOf(secrets)}
	r.Call.Body, r.Call.Data = d.body(r.Call.Body), d.data(r.Call.Data)
	for i := range r.Host {
		e := &r.Host[i]
		e.Call.Body, e.Call.Data = d.body(e.Call.Body), d.data(e.Call.Data)
		e.Answer.Body, e.Answer.Data = d.body(e.Answer.Body), d.data(e.Answer.Data)
		if e.Answer.Error != nil {
			failure := *e.Answer.Error
			failure.Message, failure.Hint = d.text(failure.Message), d.text(failure.Hint)
			e.Answer.Error = &failure
		}
	}
	r.Result.Body, r.Result.Data = d.body(r.Result.Body), d.data(r.Result.Data)
	if r.Result.Error != nil {
		failure := *r.Result.Error
		failure.Message, failure.Hint = d.text(failure.Message), d.text(failure.Hint)
		r.Result.Error = &failure
	}
	if r.Failure != nil {
		r.Failure.Message = d.text(r.Failure.Message)
	}
	r.Redacted += d.count
	return d.count
}

type redactor struct {
	secrets []string
	count   int
	depth   int
}

// minSecret is the length below which a known secret is not searched for: it
// would be found everywhere.
const minSecret = 4

// formsOf returns secrets in the forms in which they travel.
func formsOf(secrets []string) []string {
	var out []string
	for _, s := range secrets {
		if len(s) < minSecret {
			continue
		}
		quoted, _ := json.Marshal(s) // a string is always JSON
		out = append(out, s, strings.Trim(string(quoted), `"`), url.QueryEscape(s), url.PathEscape(s),
			base64.StdEncoding.EncodeToString([]byte(s)), base64.RawURLEncoding.EncodeToString([]byte(s)))
	}
	slices.SortFunc(out, func(a, b string) int { return len(b) - len(a) }) // the longest first
	return slices.Compact(out)
}

// telling are names under which credentials stand. Separators do not count.
var telling = regexp.MustCompile(`(?i)^(x-?)?(proxy-?)?authorization$|cookie|passw(or)?d|passphrase|secret|token|api-?key|access-?key|private-?key|credential|signature|session-?id|^jwt$|^otp$`)

// innocent are names that only look like it.
var innocent = regexp.MustCompile(`(?i)^(next-?|page-?|continuation-?)(token|cursor)$|token(s)?-?(count|used|limit|type)`)

// shapes are the forms of well-known credentials.
var shapes = regexp.MustCompile(strings.Join([]string{
	`(?i:\b(?:bearer|basic|token)\s+)[A-Za-z0-9+/=._~-]{8,}`,
	`\bcb_[A-Za-z0-9_]{16,}`,
	`\bgh[pousr]_[A-Za-z0-9]{16,}`, `\bgithub_pat_[A-Za-z0-9_]{20,}`, `\bglpat-[A-Za-z0-9_-]{16,}`,
	`\bxox[abeoprs]-[A-Za-z0-9-]{8,}`, `\b(?:AKIA|ASIA)[A-Z0-9]{16}\b`, `\b[sr]k_(?:live|test)_[A-Za-z0-9]{8,}`,
	`\beyJ[A-Za-z0-9_-]{6,}\.eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]*`, `\bAIza[A-Za-z0-9_-]{30,}`, `\bya29\.[A-Za-z0-9_-]{10,}`,
	`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)`,
	`://[^/\s:@"]+:[^/\s@"]+@`,
	// NAME=VALUE and NAME: VALUE in queries, forms and text, where the name says
	// it: access_token, X-Amz-Signature, client_secret, password.
	`(?i)[\w.-]*(?:passw(?:or)?d|passphrase|secret|token|signature|api[_-]?key|access[_-]?key|private[_-]?key|credential|session[_-]?id)[\w.-]*["']?\s*[=:]\s*["']?[^&\s"'#,;}]+`,
	`(?i)[?&;](?:key|sig|code|pwd)=[^&\s"#]+`,
}, "|"))

const star = '*'

// stars keeps what is needed to read the rest: scheme, separators.
func (d *redactor) stars(s string) string {
	d.count++
	out := []byte(s)
	for i := range out {
		out[i] = star
	}
	return string(out)
}

// text redacts inside of a text.
func (d *redactor) text(s string) string {
	for _, secret := range d.secrets {
		if strings.Contains(s, secret) {
			s = strings.ReplaceAll(s, secret, d.stars(secret))
		}
	}
	return shapes.ReplaceAllStringFunc(s, func(hit string) string {
		keep := 0
		switch {
		case strings.HasPrefix(hit, "://"):
			return "://" + d.stars(hit[3:len(hit)-1]) + "@"
		case strings.HasPrefix(hit, "-----BEGIN"):
			return d.stars(hit)
		}
		if i := strings.IndexAny(hit, "=:"); i > 0 {
			name := strings.Trim(hit[:i], `"' `)
			if innocent.MatchString(strings.ReplaceAll(name, "_", "-")) {
				return hit
			}
			keep = i + 1 + len(hit[i+1:]) - len(strings.TrimLeft(hit[i+1:], `"' `))
		} else if i := strings.IndexAny(hit, " \t"); i > 0 {
			keep = i + 1
		}
		if strings.Trim(hit[keep:], string(star)) == "" {
			return hit // was replaced before
		}
		return hit[:keep] + d.stars(hit[keep:])
	})
}

// body redacts a JSON document. Its bytes stay as they are where nothing is
// found.
func (d *redactor) body(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return raw
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return json.RawMessage(d.text(string(raw)))
	}
	before := d.count
	v = d.value(v)
	if d.count == before {
		return raw
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(v) != nil { // cannot be: it was JSON before
		return json.RawMessage(`null`)
	}
	return bytes.TrimSpace(b.Bytes())
}

// value redacts a decoded document.
func (d *redactor) value(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			if name := strings.ReplaceAll(k, "_", "-"); telling.MatchString(name) && !innocent.MatchString(name) {
				v[k] = d.hide(inner)
				continue
			}
			v[k] = d.value(inner)
		}
	case []any:
		for i := range v {
			v[i] = d.value(v[i])
		}
	case string:
		return d.nested(v)
	}
	return v
}

// hide replaces all texts and numbers below a telling name.
func (d *redactor) hide(v any) any {
	switch v := v.(type) {
	case string:
		if v == "" || strings.Trim(v, string(star)) == "" {
			return v
		}
		return d.stars(v)
	case json.Number:
		d.count++
		return json.Number("0")
	case []any:
		for i := range v {
			v[i] = d.hide(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = d.hide(v[k])
		}
	}
	return v
}

// maxNested bounds documents inside texts inside documents.
const maxNested = 4

// nested redacts a text that may be JSON or base64 of more.
func (d *redactor) nested(s string) string {
	if d.depth >= maxNested {
		return d.text(s)
	}
	d.depth++
	defer func() { d.depth-- }()
	if trimmed := strings.TrimSpace(s); len(trimmed) > 1 && (trimmed[0] == '{' || trimmed[0] == '[') && json.Valid([]byte(s)) {
		return string(d.body(json.RawMessage(s)))
	}
	for _, form := range [...]*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
		raw, err := form.DecodeString(s)
		if len(s) < 16 || err != nil || !utf8.Valid(raw) {
			continue
		}
		before := d.count
		if inner := d.nested(string(raw)); d.count > before {
			return form.EncodeToString([]byte(inner))
		}
		break
	}
	return d.text(s)
}

// data redacts raw bytes where they are text.
func (d *redactor) data(b []byte) []byte {
	if len(b) == 0 || !utf8.Valid(b) {
		for _, secret := range d.secrets {
			if bytes.Contains(b, []byte(secret)) {
				b = bytes.ReplaceAll(b, []byte(secret), []byte(d.stars(secret)))
			}
		}
		return b
	}
	before := d.count
	if out := d.nested(string(b)); d.count > before {
		return []byte(out)
	}
	return b
}
