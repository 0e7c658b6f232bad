// Package assets embeds what the pages load: the style sheet, the script, the
// fonts and the icons, as `npm run build` wrote them into dist. Names carry a
// hash of the content, so answers may be kept for ever. Where nothing was
// built, pages still work, unstyled, and say what to run.
package assets

import (
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:embed dist
var dist embed.FS

// HowToBuild says what to run where dist is empty.
const HowToBuild = "Run “make build” (or “npm ci && npm run build”) at the top of the repository, then build the binary again."

// Bundle is one build of the assets.
type Bundle struct {
	files fs.FS
	names map[string]string
}

// Embedded returns the assets in the binary.
func Embedded() (*Bundle, error) {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		return nil, err
	}
	return Open(files)
}

// Open reads the manifest in files. Without one the bundle is empty, which is
// no error.
func Open(files fs.FS) (*Bundle, error) {
	b := &Bundle{files: files, names: map[string]string{}}
	text, err := fs.ReadFile(files, "manifest.json")
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return nil, err
	}
	return b, json.Unmarshal(text, &b.names)
}

// Built reports whether there is anything to serve.
func (b *Bundle) Built() bool { return b.names["style.css"] != "" }

// URL returns the address of a file by the name that the sources use, for
// example "style.css"; empty where it was not built.
func (b *Bundle) URL(name string) string {
	if b.names[name] == "" {
		return ""
	}
	return "/assets/" + b.names[name]
}

// ServeHTTP serves a file below /assets/: for ever where its name carries a
// hash, for an hour where it does not.
func (b *Bundle) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := path.Base(r.URL.Path)
	body, encoding, err := b.read(name, r.Header.Get("Accept-Encoding"))
	if err != nil || name == "README.md" || name == "manifest.json" || strings.HasSuffix(name, ".br") {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", typeOf(name))
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "public, max-age=3600")
	if strings.Contains(name, "-") {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if encoding != "" {
		h.Set("Content-Encoding", encoding)
	}
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

// read returns a file, compressed where there is such a twin and it is accepted.
func (b *Bundle) read(name, accepted string) (body []byte, encoding string, err error) {
	if strings.Contains(accepted, "br") {
		if body, err = fs.ReadFile(b.files, name+".br"); err == nil {
			return body, "br", nil
		}
	}
	body, err = fs.ReadFile(b.files, name)
	return body, "", err
}

func typeOf(name string) string {
	switch path.Ext(name) {
	case ".woff2":
		return "font/woff2"
	case ".svg":
		return "image/svg+xml"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}
