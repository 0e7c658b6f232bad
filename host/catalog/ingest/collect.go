package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog/descriptor"
	"github.com/callboard-dev/callboard/host/catalog/source"
)

// visit is one address on the way, with how it was reached.
type visit struct {
	at       source.Address
	from     *visit // nil for the root
	where    string // what points to it
	depth    int
	optional bool
}

type collector struct {
	ctx       context.Context
	session   source.Session
	root      source.Address
	settings  Settings
	queue     []*visit
	seen      map[string]*visit
	documents int
	bytes     int
	// again is true where the next time must read everything, whatever the
	// known addresses say: a part could not be fetched.
	again  bool
	full   bool // the limit of entities was told
	result Result
}

func parseAddress(s string) (source.Address, bool) {
	typ, target, ok := strings.Cut(s, ":")
	return source.Address{Type: typ, Target: target}, ok && typ != "" && target != ""
}

func (c *collector) problem(ref, where, hint, format string, args ...any) {
	c.result.Problems = append(c.result.Problems, Problem{Ref: ref, Where: where, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// late notes, before all else, that there was no time for everything.
func (c *collector) late() {
	c.result.Partial, c.again = true, true
	he := host.AsError(context.Cause(c.ctx))
	if c.result.RootErr == nil && c.documents == 0 {
		c.result.RootErr = he
	}
	c.result.Problems = slices.Insert(c.result.Problems, 0, Problem{Where: c.root.Target,
		Message: he.Message + "; the rest of it is as it was before", Hint: he.Hint})
}

// visit reads one address and everything in it.
func (c *collector) visit(v *visit) {
	c.seen[v.at.String()] = v
	content, err := c.read(v.at)
	if err != nil {
		c.unreadable(v, err)
		return
	}
	for _, f := range content.Files {
		if c.ctx.Err() != nil {
			return
		}
		if f.Address != v.at {
			if c.seen[f.Address.String()] != nil {
				continue
			}
			c.seen[f.Address.String()] = v
		}
		c.file(v, f)
	}
	if len(content.Files) == 0 || content.Files[0].Address != v.at {
		c.result.Read[v.at.String()] = true
	}
}

// read reads an address within the limits of the location and remembers its
// state.
func (c *collector) read(at source.Address) (source.Content, error) {
	lim := c.settings.Limits
	if c.documents++; c.documents > lim.Documents {
		return source.Content{}, host.Errorf(host.CodeTooLarge, "the location leads to more than %d documents", lim.Documents).
			WithHint("register its parts as locations of their own")
	}
	content, err := c.session.Read(c.ctx, at, "")
	if err != nil {
		return content, err
	}
	for _, f := range content.Files {
		c.bytes += len(f.Body)
	}
	if c.bytes > lim.Bytes {
		return source.Content{}, host.Errorf(host.CodeTooLarge, "the location holds more than %d bytes", lim.Bytes).
			WithHint("register its parts as locations of their own")
	}
	c.result.Known[at.String()] = content.ETag
	return content, nil
}

func (c *collector) unreadable(v *visit, err error) {
	if v.from == nil {
		c.result.RootErr = err
	}
	c.again = true
	if v.from != nil && c.ctx.Err() != nil {
		c.result.Partial = true
		return // late tells it, for all that was not read
	}
	if v.optional && host.CodeOf(err) == host.CodeNotFound {
		return
	}
	c.result.Partial = true
	he := host.AsError(err)
	where := v.where
	if where == "" {
		where = v.at.Target
	}
	c.problem("", where, he.Hint, "cannot read %s: %s", v.at.Target, he.Message)
}

func (c *collector) file(v *visit, f source.File) {
	file := f.Address.Target
	if f.HTML {
		c.result.Partial, c.again = true, true
		c.problem("", Where(file, 1), "point to the raw file; a page that asks to sign in answers like this too",
			"the address answers with a web page, not with YAML")
		return
	}
	docs, problems := descriptor.Parse(f.Body, c.settings.Limits.File)
	for _, p := range problems {
		c.problem("", Where(file, p.Line), p.Hint, "%s", p.Message)
	}
	if len(docs) == 0 && len(problems) == 0 {
		c.problem("", Where(file, 1), "write at least apiVersion, kind and metadata.name", "the file holds no document")
	}
	understood := len(problems) == 0
	for _, d := range docs {
		if c.ctx.Err() != nil {
			understood = false
			break
		}
		understood = c.document(v, f.Address, d) && understood
	}
	if understood {
		c.result.Read[f.Address.String()] = true
	} else {
		c.result.Partial = true
	}
}

// document takes one document in. It is false where it is not known which
// entities the document stands for.
func (c *collector) document(v *visit, at source.Address, d *descriptor.Document) bool {
	r, named := d.Ref()
	ref := ""
	if named {
		ref = r.String()
	}
	unfilled := map[string]bool{}
	if c.session != nil {
		unfilled = c.substitute(at, d, ref)
	}
	if c.settings.Processor != nil && named && len(unfilled) == 0 {
		var taken bool
		if d, taken = c.preprocess(at, d, r); !taken {
			return true
		}
	}
	problems := d.Validate()
	for _, p := range problems {
		if unfilled[p.Path] {
			continue // its placeholder was told
		}
		c.problem(ref, Where(at.Target, p.Line), p.Hint, "%s", p.Message)
	}
	pointers, isLocation := d.Pointers()
	if len(problems) > 0 || len(unfilled) > 0 || !named {
		return named && !isLocation
	}
	if !c.admit(at, d, r) {
		return !isLocation
	}
	if isLocation && c.session != nil {
		c.follow(v, at, d, pointers)
	}
	item := c.item(at, d, r)
	if c.settings.Processor == nil {
		c.result.Items = append(c.result.Items, item)
	} else {
		c.postprocess(at, d, item)
	}
	return true
}

// admit applies the rules and the limit of entities.
func (c *collector) admit(at source.Address, d *descriptor.Document, r descriptor.Ref) bool {
	if !allowed(c.settings.Rules, r.Kind, c.root) {
		c.problem(r.String(), Where(at.Target, d.Line), "ask the operator to allow kind "+r.Kind+" in catalog.rules",
			"%s is of kind %s, which the catalog's rules do not allow from %s", r, r.Kind, c.root)
		return false
	}
	if most := c.settings.Limits.Entities; len(c.result.Items) >= most {
		if !c.full {
			c.problem("", Where(at.Target, d.Line), "register its parts as locations of their own",
				"the location holds more than %d entities; the rest is left out", most)
		}
		c.full, c.result.Partial = true, true
		return false
	}
	return true
}

func (c *collector) item(at source.Address, d *descriptor.Document, r descriptor.Ref) Item {
	ann := map[string]string{AnnotationManagedBy: at.String(), AnnotationOrigin: c.root.String()}
	if at.Type == "url" && d.Annotation(AnnotationViewURL) == "" {
		ann[AnnotationViewURL] = at.Target
	}
	base := d.Base(ann)
	sum := sha256.Sum256(append([]byte(formatVersion), base...))
	edges, _ := d.Relations() // Validate reported its problems
	return Item{Ref: r, Base: base, Hash: hex.EncodeToString(sum[:16]), Edges: edges,
		Source: at.String(), Where: Where(at.Target, d.Line)}
}

// substitute fills in the placeholders of a document. It returns the paths of
// those that it could not.
func (c *collector) substitute(at source.Address, d *descriptor.Document, ref string) map[string]bool {
	_, problems := d.Substitute(func(how, target string, line int) (*descriptor.Node, error) {
		to, err := c.session.Resolve(at, "", target)
		if err != nil {
			return nil, err
		}
		content, err := c.read(to)
		if err != nil {
			return nil, err
		}
		if len(content.Files) != 1 {
			return nil, host.Errorf(host.CodeInvalid, "it names %d files where one is expected", len(content.Files)).
				WithHint("write the path of one file, without wildcards")
		}
		return descriptor.Read(how, content.Files[0].Body, line, c.settings.Limits.File)
	})
	unfilled := map[string]bool{}
	for _, p := range problems {
		c.problem(ref, Where(at.Target, p.Line), p.Hint, "%s", p.Message)
		c.again, unfilled[p.Path] = true, true
	}
	return unfilled
}

// follow queues the targets of a Location entity.
func (c *collector) follow(v *visit, at source.Address, d *descriptor.Document, p descriptor.Pointers) {
	for _, t := range p.Targets {
		where := Where(at.Target, t.Line)
		to, err := c.session.Resolve(at, p.Type, t.Value)
		if err != nil {
			c.result.Partial = true
			he := host.AsError(err)
			c.problem("", where, he.Hint, "%s", he.Message)
			continue
		}
		if c.seen[to.String()] != nil {
			if to == at || v.reached(to) {
				c.problem("", where, "remove the target: a Location must not lead back to itself",
					"the target %s leads back to a document on the way here", t.Value)
			}
			continue
		}
		if v.depth >= c.settings.Limits.Depth {
			c.result.Partial = true
			c.problem("", where, "point to the files more directly", "Location entities lead on more than %d times", c.settings.Limits.Depth)
			continue
		}
		next := &visit{at: to, from: v, where: where, depth: v.depth + 1, optional: p.Optional}
		c.seen[to.String()] = next
		c.queue = append(c.queue, next)
	}
}

// reached reports whether v was reached through the address.
func (v *visit) reached(at source.Address) bool {
	for ; v != nil; v = v.from {
		if v.at == at {
			return true
		}
	}
	return false
}
