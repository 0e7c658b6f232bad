package service

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"testing"
	"time"

	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

func TestSigV4Vectors(t *testing.T) {
	raw, err := os.ReadFile("testdata/sigv4/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name, Method, Target, Body, Authorization string
		Header                                    [][2]string
	}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
	h := NewHTTP(HTTPSettings{Now: func() time.Time { return at }})
	e := &exchange{http: h, session: session(`{}`, nil), config: map[string]any{"region": "us-east-1"}}
	auth := &manifestv1.Auth{Type: "aws", Secret: "key", AccessKeyID: "AKIDEXAMPLE", Service: "service", Region: "${config.region}"}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			u, err := url.Parse("https://example.amazonaws.com" + c.Target)
			if err != nil {
				t.Fatal(err)
			}
			req, err := http.NewRequestWithContext(t.Context(), c.Method, u.String(), http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range c.Header {
				req.Header.Add(h[0], h[1])
			}
			if err := e.signAWS(t.Context(), req, []byte(c.Body), auth, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"); err != nil {
				t.Fatal(err)
			}
			if got := req.Header.Get("Authorization"); got != c.Authorization {
				t.Errorf("got  %s\nwant %s", got, c.Authorization)
			}
		})
	}
}
