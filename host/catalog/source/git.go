package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"

	"github.com/callboard-dev/callboard/host"
)

// defaultFile is what a repository is read for where no path is given.
const defaultFile = "catalog-info.yaml"

// gitTarget is a target of type git: a repository, a branch, tag or commit
// ("" means the default branch), and a path or pattern in it.
type gitTarget struct {
	repo, ref, path string
}

// String returns the one spelling: https://host/repo.git//path?ref=main.
func (g gitTarget) String() string {
	s := g.repo + "//" + g.path
	if g.ref != "" {
		s += "?ref=" + url.QueryEscape(g.ref)
	}
	return s
}

// parseGit reads the spellings people use: repo.git, repo.git//path?ref=main,
// repo.git/path, and repo.git#main:path.
func parseGit(target string) (gitTarget, error) {
	u, err := url.Parse(target)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return gitTarget{}, host.Errorf(host.CodeInvalid, "%q is not the http or https address of a git repository", target).
			WithHint("write https://host/repository.git//path/catalog-info.yaml?ref=main")
	}
	if u.User != nil {
		return gitTarget{}, host.Errorf(host.CodeInvalid, "the address of %s holds credentials", u.Host).
			WithHint("remove user and password from the URL: it is shown to everybody")
	}
	g := gitTarget{ref: u.Query().Get("ref")}
	if frag := u.Fragment; frag != "" {
		ref, file, _ := strings.Cut(frag, ":")
		g.ref, g.path = ref, file
	}
	repo := u.Path
	if i := strings.Index(repo, "//"); i > 0 {
		repo, g.path = repo[:i], repo[i+2:]
	} else if i := strings.Index(repo, ".git/"); i > 0 {
		repo, g.path = repo[:i+4], repo[i+5:]
	}
	u.Path, u.RawPath, u.RawQuery, u.Fragment = strings.TrimSuffix(repo, "/"), "", "", ""
	g.repo = u.String()
	if g.path = strings.TrimPrefix(path.Clean("/"+g.path), "/"); g.path == "" {
		g.path = defaultFile
	}
	return g, nil
}

// resolveGit makes a target absolute; inside a repository it is a path.
func resolveGit(base Address, target string) (Address, error) {
	if base.Type != "git" || strings.Contains(target, "://") {
		g, err := parseGit(target)
		return Address{Type: "git", Target: g.String()}, err
	}
	g, err := parseGit(base.Target)
	if err != nil {
		return Address{}, err
	}
	rel := target
	if !strings.HasPrefix(rel, "/") {
		rel = path.Join(path.Dir(g.path), rel)
	}
	if rel = path.Clean(rel); rel == ".." || strings.HasPrefix(rel, "../") {
		return Address{}, host.Errorf(host.CodeForbidden, "%q leads out of the repository", target).WithHint("stay within the repository")
	}
	g.path = strings.TrimPrefix(rel, "/")
	return Address{Type: "git", Target: g.String()}, nil
}

// repository is one branch of one repository, as fetched for a session.
type repository struct {
	head plumbing.Hash
	tree *object.Tree
	size int64 // bytes in memory, about
}

func (s *session) readGit(ctx context.Context, at Address, etag string) (Content, error) {
	g, err := parseGit(at.Target)
	if err != nil {
		return Content{}, err
	}
	repo, err := s.repository(ctx, g, etag)
	if err != nil {
		return Content{}, err
	}
	if repo.head.String() == etag {
		return Content{ETag: etag, NotModified: true}, nil
	}
	files, err := s.filesOf(ctx, repo.tree, g)
	if ctx.Err() != nil {
		return Content{}, upstream(ctx, g.repo, ctx.Err())
	}
	return Content{Files: files, ETag: repo.head.String()}, err
}

// repository returns the branch. Where its head is the commit that the caller
// knows, nothing is fetched and tree is nil.
func (s *session) repository(ctx context.Context, g gitTarget, known string) (*repository, error) {
	key := g.repo + " " + g.ref
	repo := s.repos[key]
	if repo != nil && (repo.tree != nil || repo.head.String() == known) {
		return repo, nil
	}
	free, err := s.reader.fetches.take(ctx)
	if err != nil {
		return nil, err
	}
	defer free()
	ep, err := transport.NewEndpoint(g.repo)
	if err != nil {
		return nil, host.Errorf(host.CodeInvalid, "%q is not the address of a repository: %w", g.repo, err).WithHint("check the address")
	}
	remote, err := githttp.NewClient(s.reader.git).NewUploadPackSession(ep, nil)
	if err != nil {
		return nil, upstream(ctx, g.repo, err)
	}
	defer remote.Close()
	adv, err := remote.AdvertisedReferencesContext(ctx)
	if err != nil {
		return nil, gitError(ctx, g, err)
	}
	head, err := findRef(adv, g)
	if err != nil {
		return nil, err
	}
	repo = &repository{head: head}
	if head.String() != known {
		if err = s.fetch(ctx, remote, adv, repo, g); err != nil {
			return nil, gitError(ctx, g, err)
		}
	}
	s.keep(key, repo)
	return repo, nil
}

func findRef(adv *packp.AdvRefs, g gitTarget) (plumbing.Hash, error) {
	if g.ref == "" {
		if adv.Head != nil {
			return *adv.Head, nil
		}
		return plumbing.ZeroHash, host.Errorf(host.CodeNotFound, "the repository %s has no default branch", g.repo).WithHint("name a branch with ?ref=")
	}
	for _, name := range []string{g.ref, "refs/heads/" + g.ref, "refs/tags/" + g.ref} {
		if peeled, ok := adv.Peeled[name]; ok {
			return peeled, nil
		}
		if h, ok := adv.References[name]; ok {
			return h, nil
		}
	}
	if len(g.ref) == 40 && plumbing.IsHash(g.ref) {
		return plumbing.NewHash(g.ref), nil
	}
	return plumbing.ZeroHash, host.Errorf(host.CodeNotFound, "the repository %s has no branch or tag %q", g.repo, g.ref).WithHint("check the ref")
}

// fetch gets the commit of repo without its history.
func (s *session) fetch(ctx context.Context, remote transport.UploadPackSession, adv *packp.AdvRefs, repo *repository, g gitTarget) error {
	req := packp.NewUploadPackRequestFromCapabilities(adv.Capabilities)
	req.Wants = append(req.Wants, repo.head)
	if adv.Capabilities.Supports(capability.Shallow) {
		if err := req.Capabilities.Set(capability.Shallow); err != nil {
			return err
		}
		req.Depth = packp.DepthCommits(1)
	}
	resp, err := remote.UploadPack(ctx, req)
	if unsent := new(plumbing.UnexpectedError); err != nil && !errors.As(err, &unsent) {
		return fmt.Errorf("%w: %w", errNoGit, err) // there was an answer
	}
	if err != nil {
		return err
	}
	defer resp.Close()
	pack, err := io.ReadAll(demux(req.Capabilities, resp))
	if err != nil {
		return err
	}
	storage, size, err := s.reader.unpack(ctx, g.repo, pack)
	if err != nil {
		return err
	}
	commit, err := object.GetCommit(storage, repo.head)
	if err != nil {
		return err
	}
	repo.size = size
	repo.tree, err = commit.Tree()
	return err
}

// demux takes the pack out of the channels that server and client agreed on.
func demux(caps *capability.List, r io.Reader) io.Reader {
	switch {
	case caps.Supports(capability.Sideband64k):
		return sideband.NewDemuxer(sideband.Sideband64k, r)
	case caps.Supports(capability.Sideband):
		return sideband.NewDemuxer(sideband.Sideband, r)
	default:
		return r
	}
}

func gitError(ctx context.Context, g gitTarget, err error) error {
	if hidden := new(plumbing.UnexpectedError); errors.As(err, &hidden) {
		err = hidden.Err // it has no Unwrap
	}
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, transport.ErrRepositoryNotFound), errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed):
		return host.Errorf(host.CodeNotFound, "there is no repository %s that can be read without signing in", g.repo).
			WithHint("check the address and whether the repository is public")
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return host.Errorf(host.CodeNotFound, "the repository %s is empty", g.repo).WithHint("push a commit with a %s", defaultFile)
	case noGit(err):
		return host.Errorf(host.CodeUpstream, "%s did not answer as a git server does", g.repo).
			WithHint("check that this is the address that git clone takes; register a single file with type url")
	}
	return upstream(ctx, g.repo, err)
}

// errNoGit is why an answer could not be read.
var errNoGit = errors.New("the answer is not in git's protocol")

// noGit reports whether an answer was not in git's protocol.
func noGit(err error) bool {
	var odd *packp.ErrUnexpectedData
	return errors.Is(err, errNoGit) || errors.As(err, &odd) || errors.Is(err, packp.ErrEmptyInput) || errors.Is(err, pktline.ErrInvalidPktLen)
}

func (s *session) filesOf(ctx context.Context, tree *object.Tree, g gitTarget) ([]File, error) {
	at := func(p string) Address {
		f := g
		f.path = p
		return Address{Type: "git", Target: f.String()}
	}
	if !hasWildcard(g.path) {
		f, err := tree.File(g.path)
		if err != nil {
			return nil, host.Errorf(host.CodeNotFound, "the repository %s has no file %s", g.repo, g.path).WithHint("check path and branch")
		}
		body, err := s.blob(f)
		return []File{{Address: at(g.path), Body: body}}, err
	}
	match, err := compileGlob(g.path)
	if err != nil {
		return nil, err
	}
	var files []File
	err = eachFile(ctx, tree, match, func(f *object.File) error {
		if len(files) >= maxMatches {
			return tooMany(g.String())
		}
		body, err := s.blob(f)
		files = append(files, File{Address: at(f.Name), Body: body})
		return err
	})
	if err == nil && len(files) == 0 {
		err = host.Errorf(host.CodeNotFound, "no file of %s matches %s", g.repo, g.path).WithHint("check the pattern: * stays within a folder, ** crosses folders")
	}
	return files, err
}

func (s *session) blob(f *object.File) ([]byte, error) {
	if !f.Mode.IsRegular() && f.Mode.String() != "0100755" {
		return nil, host.Errorf(host.CodeForbidden, "%s is not a plain file of the repository", f.Name).WithHint("replace the link by a file")
	}
	r, err := f.Reader()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return readAll(r, s.reader.settings.MaxDocument, f.Name)
}
