package fragment

import (
	"fmt"
	"maps"
	"mime"
	"slices"
	"strings"

	"github.com/callboard-dev/callboard/host/plugin/schema"
	"github.com/callboard-dev/callboard/schemas/capability/route/v1"
)

// Streams says which bodies of an operation pass through in pieces. They may
// have any media type that the fragment names, and no schema is held to them.
type Streams struct{ Request, Response bool }

// streams reads route.StreamExtension.
func (c *compiler) streams(op map[string]any, method string, at []string) Streams {
	at = append(slices.Clone(at), route.StreamExtension)
	v, ok := op[route.StreamExtension]
	if !ok {
		return Streams{}
	}
	var s Streams
	switch v {
	case route.StreamRequest:
		s.Request = true
	case route.StreamResponse:
		s.Response = true
	case route.StreamBoth:
		s = Streams{Request: true, Response: true}
	default:
		c.fault(at, "", "must be request, response or both")
	}
	if _, has := op["requestBody"]; s.Request && !has {
		c.fault(at, "describe it in requestBody, with its media types", "a %s without a body has none to stream", method)
	}
	return s
}

// mediaTypes returns the media types of a body that is streamed.
func (c *compiler) mediaTypes(o map[string]any, path []string) []string {
	content, _ := o["content"].(map[string]any)
	var out []string
	for _, media := range slices.Sorted(maps.Keys(content)) {
		if _, params, err := mime.ParseMediaType(media); err != nil || len(params) > 0 || media != strings.ToLower(media) {
			c.fault(append(slices.Clone(path), "content", media), "for example text/csv, or application/octet-stream", "%q is not a media type", media)
			continue
		}
		out = append(out, media)
	}
	return out
}

// onlyJSON returns a response with nothing but its content in JSON: an operation
// that streams may still answer like any other.
func onlyJSON(o map[string]any) map[string]any {
	out := maps.Clone(o)
	content, _ := o["content"].(map[string]any)
	delete(out, "content")
	if v, ok := content["application/json"]; ok {
		out["content"] = map[string]any{"application/json": v}
	}
	return out
}

// covers reports whether a media type, with or without parameters, is one of
// those that a fragment names: "*/*" and "text/*" stand for many.
func covers(declared []string, contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	kind, _, ok := strings.Cut(media, "/")
	return ok && slices.ContainsFunc(declared, func(d string) bool { return d == media || d == "*/*" || d == kind+"/*" })
}

// CheckMedia says what is wrong with the media type of a request whose body is
// streamed.
func (op *Operation) CheckMedia(contentType string) []schema.Fault {
	if op.body == nil || covers(op.body.media, contentType) {
		return nil
	}
	return []schema.Fault{{Path: []string{"header", "content-type"}, Message: "is not one that the operation takes", Hint: "send " + strings.Join(op.body.media, " or ")}}
}

// CheckHead says what is wrong with the head of a streamed response, and which
// content type it has: without one, the first that the fragment names for the
// status.
func (op *Operation) CheckHead(status int, contentType string) (string, []schema.Fault) {
	if status < 200 || status > 599 || op.response(status) == nil {
		return "", []schema.Fault{{Path: []string{"status"}, Message: fmt.Sprintf("%d is not described in the manifest", status)}}
	}
	media := op.response(status).media
	if contentType == "" {
		if i := slices.IndexFunc(media, func(m string) bool { return !strings.Contains(m, "*") }); i >= 0 {
			return media[i], nil
		}
		return "application/octet-stream", nil
	}
	if !covers(media, contentType) {
		return "", []schema.Fault{{Path: []string{"contentType"}, Message: fmt.Sprintf("is %q, which the manifest does not describe for %d", contentType, status)}}
	}
	return contentType, nil
}
