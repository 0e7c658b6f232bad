package manifest

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/callboard-dev/callboard/host"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// Media types of a packaged plugin.
const (
	ArtifactType  = "application/vnd.callboard.plugin.v1+json"
	ManifestMedia = "application/vnd.callboard.manifest.v1+yaml"
	CodeMedia     = "application/wasm"
	// ProgramMedia is a program of a process plugin; each has its platform.
	ProgramMedia = "application/vnd.callboard.program.v1"
	ReadmeMedia  = "text/markdown"

	imageMedia = "application/vnd.oci.image.manifest.v1+json"
	indexMedia = "application/vnd.oci.image.index.v1+json"
	emptyMedia = "application/vnd.oci.empty.v1+json"
)

const (
	// maxPackageBytes is the largest package, and the most that is read of it.
	maxPackageBytes = MaxCodeBytes + 8<<20
	maxEntries      = 64
	maxIndexBytes   = 256 << 10
)

type descriptor struct {
	MediaType    string            `json:"mediaType"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	Platform     *platform         `json:"platform,omitempty"`
}

type platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
}

type image struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        descriptor        `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

type index struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Manifests     []descriptor `json:"manifests"`
}

const titleAnnotation = "org.opencontainers.image.title"

var emptyConfig = []byte("{}")

// image returns the release's OCI manifest. It depends on nothing but the
// release's files, so the same release has the same digest everywhere.
func (b *Bundle) image() ([]byte, error) {
	codes, _, err := b.codeLayers()
	if err != nil {
		return nil, err
	}
	m := image{
		SchemaVersion: 2, MediaType: imageMedia, ArtifactType: ArtifactType,
		Config: descriptor{MediaType: emptyMedia, Digest: DigestOf(emptyConfig), Size: int64(len(emptyConfig))},
		Layers: append([]descriptor{layer(ManifestMedia, manifestv1.FileName, b.Source)}, codes...),
		Annotations: map[string]string{
			titleAnnotation:                     b.Manifest.Name,
			"org.opencontainers.image.version":  b.Manifest.Version,
			"org.opencontainers.image.licenses": b.Manifest.License,
		},
	}
	if b.Readme != "" {
		m.Layers = append(m.Layers, layer(ReadmeMedia, readmeName, []byte(b.Readme)))
	}
	return json.Marshal(m)
}

// codeLayers returns the layers of the code and their content.
func (b *Bundle) codeLayers() (layers []descriptor, blobs [][]byte, err error) {
	programs := map[string][]byte{"": b.Code}
	if b.Manifest.Runtime == manifestv1.RuntimeProcess {
		if programs, err = Split(b.Code); err != nil {
			return nil, nil, err
		}
	}
	for _, f := range CodeFiles(b.Manifest) {
		l := layer(CodeMedia, f.Name, programs[f.Platform])
		if system, arch, ok := strings.Cut(f.Platform, "/"); ok {
			l.MediaType, l.Platform = ProgramMedia, &platform{system, arch}
		}
		layers, blobs = append(layers, l), append(blobs, programs[f.Platform])
	}
	return layers, blobs, nil
}

func layer(media, title string, blob []byte) descriptor {
	return descriptor{MediaType: media, Digest: DigestOf(blob), Size: int64(len(blob)), Annotations: map[string]string{titleAnnotation: title}}
}

// WritePackage packages the plugin in dir as an OCI image layout in a tar. The
// same folder gives the same bytes, everywhere and always. It returns the
// release's digest.
func WritePackage(dir string, out io.Writer) (digest string, err error) {
	b, err := OpenFolder(dir)
	if err != nil {
		return "", err
	}
	return b.Digest, b.Write(out)
}

// Write writes the release as a package.
func (b *Bundle) Write(out io.Writer) error {
	img, err := b.image()
	if err != nil {
		return err
	}
	idx, err := json.Marshal(index{SchemaVersion: 2, MediaType: indexMedia, Manifests: []descriptor{{
		MediaType: imageMedia, ArtifactType: ArtifactType, Digest: DigestOf(img), Size: int64(len(img)),
	}}})
	if err != nil {
		return err
	}
	files := []struct {
		name string
		body []byte
	}{{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)}, {"index.json", idx}}
	_, codes, err := b.codeLayers()
	if err != nil {
		return err
	}
	blobs := append([][]byte{img, emptyConfig, b.Source}, codes...)
	if b.Readme != "" {
		blobs = append(blobs, []byte(b.Readme))
	}
	written := map[string]bool{}
	for _, blob := range blobs {
		name := blobName(DigestOf(blob))
		if !written[name] {
			files = append(files, struct {
				name string
				body []byte
			}{name, blob})
		}
		written[name] = true
	}
	w := tar.NewWriter(out)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.body)), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return fmt.Errorf("writing the package: %w", err)
		}
		if _, err := w.Write(f.body); err != nil {
			return fmt.Errorf("writing the package: %w", err)
		}
	}
	return w.Close()
}

func blobName(digest string) string { return "blobs/" + strings.Replace(digest, ":", "/", 1) }

// OpenFile reads a release from a packaged file.
func OpenFile(name string) (*Bundle, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, notThere(name, err)
	}
	defer f.Close()
	return read(f, name)
}

// OpenBytes reads a release from a package in memory.
func OpenBytes(b []byte) (*Bundle, error) { return read(bytes.NewReader(b), "package") }

var sha256Digest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

func read(r io.Reader, name string) (*Bundle, error) {
	files, err := untar(io.LimitReader(r, maxPackageBytes))
	if err != nil {
		return nil, badPackage(name, err)
	}
	img, digest, err := findImage(files)
	if err != nil {
		return nil, badPackage(name, err)
	}
	var src, code, readme []byte
	programs := map[string][]byte{}
	for _, l := range img.Layers {
		blob, err := blobOf(files, l)
		if err != nil {
			return nil, badPackage(name, err)
		}
		switch l.MediaType {
		case ManifestMedia:
			src = blob
		case CodeMedia:
			code = blob
		case ProgramMedia:
			if l.Platform == nil {
				return nil, badPackage(name, errors.New("it holds a program without a platform"))
			}
			programs[l.Platform.OS+"/"+l.Platform.Architecture] = blob
		case ReadmeMedia:
			readme = blob
		default:
			return nil, badPackage(name, fmt.Errorf("it holds a layer of the unknown type %q", l.MediaType))
		}
	}
	if src == nil || code == nil && len(programs) == 0 {
		return nil, badPackage(name, errors.New("it lacks the manifest or the code"))
	}
	m, err := Parse(src, name+":"+manifestv1.FileName)
	if err != nil {
		return nil, err
	}
	if code, err = codeOf(m, code, programs); err != nil {
		return nil, badPackage(name, err)
	}
	b, err := newBundle(m, src, code, readme)
	if err != nil {
		return nil, err
	}
	// The digest is what was signed and what a registry serves: keep it, even
	// where another tool wrote the JSON of the image in another way.
	b.Digest = digest
	return b, nil
}

// codeOf returns the code of a package: exactly what the manifest promises.
func codeOf(m *manifestv1.Manifest, code []byte, programs map[string][]byte) ([]byte, error) {
	if m.Runtime != manifestv1.RuntimeProcess {
		if len(programs) > 0 || code == nil {
			return nil, errors.New("its code is not the WebAssembly that the manifest promises")
		}
		return code, nil
	}
	for _, p := range m.Platforms {
		if programs[p] == nil {
			return nil, fmt.Errorf("it lacks the program for %s", p)
		}
	}
	if code != nil || len(programs) != len(m.Platforms) {
		return nil, errors.New("it holds code that the manifest does not name")
	}
	return Join(programs)
}

func badPackage(name string, err error) error {
	e := host.Errorf(host.CodeInvalid, "this is not a plugin package: %v", err).At(name).
		WithHint("make one with callboard plugin package")
	e.Err = err
	return e
}

// untar reads the few files of an image layout.
func untar(r io.Reader) (map[string][]byte, error) {
	files := map[string][]byte{}
	t := tar.NewReader(r)
	total := int64(0)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, fmt.Errorf("the tar cannot be read: %w", err)
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		if h.Typeflag != tar.TypeReg {
			return nil, fmt.Errorf("%q is not a regular file", h.Name)
		}
		name := path.Clean(h.Name)
		if path.IsAbs(name) || name == ".." || strings.HasPrefix(name, "../") {
			return nil, fmt.Errorf("the name %q leads out of the package", h.Name)
		}
		if len(files) >= maxEntries || total+h.Size > maxPackageBytes {
			return nil, errors.New("it is too large")
		}
		if _, twice := files[name]; twice {
			return nil, fmt.Errorf("%q is there twice", name)
		}
		body, err := readLimited(t, MaxCodeBytes)
		if err != nil {
			return nil, fmt.Errorf("reading %q: %w", name, err)
		}
		total += int64(len(body))
		files[name] = body
	}
}

func findImage(files map[string][]byte) (*image, string, error) {
	raw := files["index.json"]
	if raw == nil {
		return nil, "", errors.New("it has no index.json: it is no OCI image layout")
	}
	var idx index
	if len(raw) > maxIndexBytes || json.Unmarshal(raw, &idx) != nil {
		return nil, "", errors.New("its index.json cannot be read")
	}
	if len(idx.Manifests) != 1 {
		return nil, "", fmt.Errorf("its index names %d images, exactly one is expected", len(idx.Manifests))
	}
	d := idx.Manifests[0]
	blob, err := blobOf(files, d)
	if err != nil {
		return nil, "", err
	}
	var img image
	if len(blob) > maxIndexBytes || json.Unmarshal(blob, &img) != nil {
		return nil, "", errors.New("its image manifest cannot be read")
	}
	if img.ArtifactType != ArtifactType {
		return nil, "", fmt.Errorf("its artifactType is %q, not %s", img.ArtifactType, ArtifactType)
	}
	if len(img.Layers) > 8 {
		return nil, "", errors.New("it has too many layers")
	}
	return &img, d.Digest, nil
}

// blobOf returns a blob after checking its size and digest.
func blobOf(files map[string][]byte, d descriptor) ([]byte, error) {
	if !sha256Digest.MatchString(d.Digest) {
		return nil, fmt.Errorf("%q is not a sha256 digest", d.Digest)
	}
	blob, ok := files[blobName(d.Digest)]
	if !ok {
		return nil, fmt.Errorf("the blob %s is missing", d.Digest)
	}
	if int64(len(blob)) != d.Size || DigestOf(blob) != d.Digest {
		return nil, fmt.Errorf("the blob %s is damaged: its content has another digest or size", d.Digest)
	}
	return blob, nil
}
