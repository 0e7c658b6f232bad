// Package text turns Markdown that strangers wrote into HTML that is safe to
// show: parsed by goldmark, then cut down by bluemonday to plain prose. Images
// become links, because pages load nothing from elsewhere; headings begin at
// the third level, because a page has one title.
package text

import (
	"bytes"
	"io"
	"regexp"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	gtext "github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// markdownMax is how much is rendered; the rest is left out with a note.
const markdownMax = 256 << 10

// Markdown is CommonMark with tables, written by a stranger.
type Markdown string

// Render writes it as prose.
func (m Markdown) Render(w io.Writer) error {
	source, cut := []byte(m), false
	if len(source) > markdownMax {
		source, cut = source[:markdownMax], true
	}
	var out bytes.Buffer
	if err := convert(source, &out); err != nil {
		return h.Pre(g.Text(string(source))).Render(w)
	}
	return h.Div(h.Class("prose"), g.Raw(string(policy().SanitizeBytes(out.Bytes()))),
		g.If(cut, h.P(h.Class("quiet"), g.Text("The rest is too long to show.")))).Render(w)
}

func convert(source []byte, out io.Writer) error {
	md := goldmark.New(
		goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.Linkify),
		goldmark.WithParserOptions(parser.WithASTTransformers(util.Prioritized(reshape{}, 100))))
	return md.Convert(source, out)
}

// policy is what remains of HTML: prose, and links that lead out safely.
func policy() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements("p", "br", "hr", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote",
		"pre", "code", "em", "strong", "del", "table", "thead", "tbody", "tr", "th", "td")
	p.AllowAttrs("start").Matching(regexp.MustCompile(`^[0-9]{1,9}$`)).OnElements("ol")
	p.AllowAttrs("href").OnElements("a")
	p.AllowURLSchemes("http", "https", "mailto")
	p.AllowRelativeURLs(false)
	p.RequireParseableURLs(true)
	p.RequireNoFollowOnLinks(true)
	p.RequireNoReferrerOnLinks(true)
	return p
}

// reshape lowers headings below the page's and turns images into links.
type reshape struct{}

// Transform rewrites the parsed document in place.
func (reshape) Transform(doc *ast.Document, _ gtext.Reader, _ parser.Context) {
	var images []*ast.Image
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			n.Level = min(n.Level+2, 6)
		case *ast.Image:
			images = append(images, n)
		}
		return ast.WalkContinue, nil
	})
	for _, image := range images {
		if within(image, ast.KindLink) {
			unwrap(image)
			continue
		}
		link := ast.NewLink()
		link.Destination = image.Destination
		for c := image.FirstChild(); c != nil; c = image.FirstChild() {
			link.AppendChild(link, c)
		}
		if link.ChildCount() == 0 {
			link.AppendChild(link, ast.NewString([]byte("Image")))
		}
		image.Parent().ReplaceChild(image.Parent(), image, link)
	}
}

// within reports whether n has an ancestor of that kind.
func within(n ast.Node, kind ast.NodeKind) bool {
	for p := n.Parent(); p != nil; p = p.Parent() {
		if p.Kind() == kind {
			return true
		}
	}
	return false
}

// unwrap puts an image's words in its place, where it is a link already.
func unwrap(image *ast.Image) {
	parent := image.Parent()
	if !image.HasChildren() {
		parent.ReplaceChild(parent, image, ast.NewString([]byte("Image")))
		return
	}
	for c := image.FirstChild(); c != nil; c = image.FirstChild() {
		parent.InsertBefore(parent, image, c)
	}
	parent.RemoveChild(parent, image)
}
