package fragment

import (
	"encoding/json"
	"strings"
	"testing"
)

const streaming = `{"paths":{"/move":{"post":{"operationId":"move","x-callboard-stream":"both",
  "requestBody":{"content":{"text/*":{},"application/zip":{}}},
  "responses":{"200":{"description":"ok","content":{"text/csv":{},"application/json":{"schema":{"type":"object"}}}},"4XX":{"description":"bad"}}}}}}`

func TestStreams(t *testing.T) {
	f, faults := Compile(json.RawMessage(streaming))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	op := f.Operation("move")
	if op.Streams != (Streams{Request: true, Response: true}) {
		t.Errorf("it streams %+v", op.Streams)
	}
	if in, faults := op.CheckRequest(Request{Body: []byte("no JSON")}); len(faults) > 0 || in.Body != nil {
		t.Errorf("a streamed body was looked at: %s, %v", in.Body, faults)
	}
	for contentType, ok := range map[string]bool{
		"text/plain; charset=utf-8": true, "TEXT/CSV": true, "application/zip": true, "application/json": false, "": false, "text": false, "textual/plain": false,
	} {
		if faults := op.CheckMedia(contentType); (len(faults) == 0) != ok {
			t.Errorf("a request of %q gave %v", contentType, faults)
		}
	}
	for _, c := range []struct {
		status            int
		contentType, want string
		ok                bool
	}{
		{200, "text/csv; header=present", "text/csv; header=present", true}, {200, "", "application/json", true}, {404, "", "application/octet-stream", true},
		{200, "text/html", "", false}, {404, "text/csv", "", false}, {201, "", "", false}, {100, "", "", false}, {0, "", "", false}, {200, "a b", "", false},
	} {
		if got, faults := op.CheckHead(c.status, c.contentType); (len(faults) == 0) != c.ok || got != c.want {
			t.Errorf("%d with %q gave %q, %v", c.status, c.contentType, got, faults)
		}
	}
}

func TestBadStreams(t *testing.T) {
	for name, c := range map[string]struct{ old, new, says string }{
		"UnknownWord":     {`"both"`, `"all"`, "must be request, response or both"},
		"NoBody":          {`"requestBody":{"content":{"text/*":{},"application/zip":{}}},`, ``, "none to stream"},
		"NoMediaType":     {`{"text/*":{},"application/zip":{}}`, `{}`, "must have content"},
		"BadMediaType":    {`"text/*"`, `"text plain"`, "not a media type"},
		"WithParameters":  {`"text/csv"`, `"text/csv; a=b"`, "not a media type"},
		"OthersStayJSON":  {`"x-callboard-stream":"both"`, `"x-callboard-stream":"request"`, "not supported"},
		"OthersTakeJSON":  {`"x-callboard-stream":"both"`, `"x-callboard-stream":"response"`, "not supported"},
		"InCapitals":      {`"application/zip"`, `"Application/Zip"`, "not a media type"},
		"AnswersBadMedia": {`"text/csv"`, `"/"`, "not a media type"},
	} {
		t.Run(name, func(t *testing.T) {
			_, faults := Compile(json.RawMessage(strings.Replace(streaming, c.old, c.new, 1)))
			var all []string
			for _, f := range faults {
				all = append(all, f.String())
			}
			if !strings.Contains(strings.Join(all, "\n"), c.says) {
				t.Errorf("got %v", all)
			}
		})
	}
}
