package text_test

import (
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/callboard-dev/callboard/host/web/ui/text"
)

func render(t *testing.T, source string) string {
	t.Helper()
	var out strings.Builder
	if err := text.Markdown(source).Render(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestHostileMarkdownComesOutHarmless(t *testing.T) {
	hostile := map[string]string{
		"script element":        "<script>alert(1)</script>",
		"script in a line":      "a <script>alert(1)</script> b",
		"event handler":         "<b onclick=alert(1)>x</b><img src=x onerror=alert(1)>",
		"javascript link":       "[x](javascript:alert(1))",
		"javascript, mixed":     "[x](JaVaScRiPt:alert(1))",
		"javascript, encoded":   "[x](&#106;avascript:alert(1))",
		"javascript, tabbed":    "[x](java\tscript:alert(1))",
		"data link":             "[x](data:text/html;base64,PHNjcmlwdD4=)",
		"vbscript link":         "<vbscript:alert(1)>",
		"javascript autolink":   "<javascript:alert(1)>",
		"image from elsewhere":  "![x](https://evil.example/p.png)",
		"javascript image":      "![x](javascript:alert(1))",
		"reference link":        "[x][y]\n\n[y]: javascript:alert(1)",
		"style attribute":       "<p style=\"position:fixed\">x</p>",
		"iframe":                "<iframe src=https://evil.example></iframe>",
		"form":                  "<form action=https://evil.example><input name=csrf></form>",
		"svg":                   "<svg><script>alert(1)</script></svg>",
		"code fence language":   "```\" onmouseover=\"alert(1)\nx\n```",
		"title with a quote":    "[x](https://a.example \"\\\" onclick=\\\"alert(1)\")",
		"htmx attribute":        "<a hx-get=/settings hx-trigger=load>x</a>",
		"id of the page":        "<p id=main>x</p>",
		"relative link":         "[x](/logout)",
		"other host, no scheme": "[x](//evil.example)",
	}
	for name, source := range hostile {
		t.Run(name, func(t *testing.T) {
			out := render(t, source)
			root, err := html.Parse(strings.NewReader(out))
			if err != nil {
				t.Fatal(err)
			}
			for n := range root.Descendants() {
				if n.Type != html.ElementNode {
					continue
				}
				switch n.Data {
				case "script", "style", "img", "iframe", "form", "input", "svg", "object":
					t.Errorf("%s is left in %s", n.Data, out)
				}
				for _, a := range n.Attr {
					switch {
					case a.Key == "class" && a.Val == "prose", a.Key == "rel", a.Key == "start":
					case a.Key == "href" && (strings.HasPrefix(a.Val, "https://") || strings.HasPrefix(a.Val, "http://") || strings.HasPrefix(a.Val, "mailto:")):
					default:
						t.Errorf("the attribute %s=%q is left in %s", a.Key, a.Val, out)
					}
				}
			}
		})
	}
}

func TestMarkdownKeepsProse(t *testing.T) {
	tests := map[string]struct{ source, want string }{
		"headings begin below the page's": {"# One\n\n###### Six", "<h3>One</h3>\n<h6>Six</h6>"},
		"emphasis":                        {"*a* **b** ~~c~~", "<em>a</em> <strong>b</strong> <del>c</del>"},
		"links say where they lead":       {"[x](https://a.example)", `<a href="https://a.example" rel="nofollow noreferrer">x</a>`},
		"images become links":             {"![the plan](https://a.example/p.png)", `<a href="https://a.example/p.png" rel="nofollow noreferrer">the plan</a>`},
		"images without words":            {"![](https://a.example/p.png)", ">Image</a>"},
		"badges stay one link":            {"[![build](https://a.example/b.svg)](https://a.example/ci)", `<a href="https://a.example/ci" rel="nofollow noreferrer">build</a>`},
		"badges without words":            {"[![](https://a.example/b.svg)](https://a.example/ci)", `rel="nofollow noreferrer">Image</a>`},
		"tables":                          {"|a|\n|-|\n|b|", "<td>b</td>"},
		"code":                            {"```go\nx < y\n```", "<pre><code>x &lt; y\n</code></pre>"},
		"list numbers":                    {"3. c", `<ol start="3">`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if out := render(t, test.source); !strings.Contains(out, test.want) {
				t.Errorf("got %s, want %s in it", out, test.want)
			}
		})
	}
}

func TestLongMarkdownIsCut(t *testing.T) {
	out := render(t, strings.Repeat("word ", 100_000))
	if len(out) > 300_000 || !strings.Contains(out, "too long to show") {
		t.Errorf("got %d bytes without a note", len(out))
	}
}
