package recording

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

const hidden = "hunter2-Ünïcode/+&"

func TestRedact(t *testing.T) {
	quoted, _ := json.Marshal(hidden)
	b64 := base64.StdEncoding.EncodeToString([]byte(hidden))
	inner := base64.StdEncoding.EncodeToString([]byte(`{"nested":{"api_key":"deep-1234"}}  `))
	cases := []struct{ name, body, gone string }{
		{"KnownSecret", `{"text":"it is ` + strings.Trim(string(quoted), `"`) + `!"}`, "hunter2"},
		{"KnownSecretInAQuery", `{"url":"https://x/?q=` + url.QueryEscape(hidden) + `"}`, url.QueryEscape(hidden)},
		{"KnownSecretInBase64", `{"blob":"` + b64 + `"}`, b64},
		{"TellingName", `{"Password":"p4ss","deep":[{"accessToken":"abc"}]}`, "p4ss"},
		{"HeaderList", `{"header":{"Authorization":["Bearer abcdefghijkl"],"X-Api-Key":["k1"]}}`, "abcdefghijkl"},
		{"Number", `{"secret":12345}`, "12345"},
		{"GitHubToken", `{"note":"use ghp_abcdefghijklmnopqrst now"}`, "ghp_abcdefghijklmnopqrst"},
		{"OwnToken", `{"note":"cb_abcdefghijklmnop1234"}`, "cb_abcdefghijklmnop1234"},
		{"JWT", `{"x":"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-def_ghi"}`, "eyJzdWIiOiIxIn0"},
		{"PrivateKey", `{"x":"-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----"}`, "MIIabc"},
		{"UserInURL", `{"x":"https://me:pass@example.com/a"}`, "me:pass"},
		{"TokenInURL", `{"x":"https://example.com/a?access_token=zzzzz&b=1"}`, "zzzzz"},
		{"JSONInText", `{"x":"{\"client_secret\":\"inside\"}"}`, "inside"},
		{"JSONInBase64", `{"body":"` + inner + `"}`, inner},
		{"PrefixedNameInURL", `{"x":"https://e.example/?private_token=zz1zz&b=1"}`, "zz1zz"},
		{"SignedURL", `{"x":"https://e.example/?a=1&X-Amz-Signature=zz2zz&X-Amz-Date=3"}`, "zz2zz"},
		{"Form", `{"x":"grant_type=client_credentials&client_secret=zz3zz&scope=a"}`, "zz3zz"},
		{"FormBegins", `{"x":"password=zz4zz&user=me"}`, "zz4zz"},
		{"Text", `{"x":"his password: zz5zz, he says"}`, "zz5zz"},
		{"QuotedText", `{"x":"token = 'zz6zz'"}`, "zz6zz"},
		{"UnpaddedBase64", `{"x":"` + base64.RawURLEncoding.EncodeToString([]byte(`{"api_key":"deep-12"}?`)) + `"}`, base64.RawURLEncoding.EncodeToString([]byte(`{"api_key":"deep-12"}?`))},
		{"NotJSON", `Bearer abcdefghijkl`, "abcdefghijkl"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(c.body, c.gone) {
				t.Fatal("the case holds nothing to hide")
			}
			r := &Recording{Call: pluginv1.Call{Body: json.RawMessage(c.body)}, Host: []Exchange{{Answer: pluginv1.Result{Data: []byte(c.body)}}}}
			if r.Redact([]string{hidden}) == 0 {
				t.Error("nothing was found")
			}
			for place, text := range map[string]string{"body": string(r.Call.Body), "data": string(r.Host[0].Answer.Data)} {
				if strings.Contains(text, c.gone) {
					t.Errorf("%s still holds it: %s", place, text)
				}
				if place == "body" && json.Valid([]byte(c.body)) && (!json.Valid([]byte(text)) || len(text) < len(c.body)-len(c.body)/3) {
					t.Errorf("the document is broken: %s", text)
				}
			}
			if again := r.Redact([]string{hidden}); again != 0 && c.name != "Number" {
				t.Errorf("a second time %d places were found in %s", again, r.Call.Body)
			}
		})
	}
	t.Run("InnocentStays", func(t *testing.T) {
		body := `{"nextToken":"page-2","tokenCount":5,"text":"a plain sentence about tokens and secrets","url":"https://e.example/?next_token=page2&tokenCount=7","n":1.50,"big":12345678901234567890}`
		r := &Recording{Call: pluginv1.Call{Body: json.RawMessage(body)}}
		if n := r.Redact([]string{"x", ""}); n != 0 || string(r.Call.Body) != body {
			t.Errorf("%d places: %s", n, r.Call.Body)
		}
	})
}
