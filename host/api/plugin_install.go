package api

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
)

// Media types of an upload.
const (
	packageType   = "application/octet-stream"
	multipartType = "multipart/form-data"
)

// installRequest is what an admin says about a release to be installed. In a
// JSON body it names the release too; beside an upload it is the part
// "options", or the query.
type installRequest struct {
	Bundled string `json:"bundled,omitempty" doc:"The name of a plugin that comes with the host." example:"callboard/prometheus"`
	Path    string `json:"path,omitempty" doc:"A folder or packaged file on the server; only where the operator allows it for development."`
	// AcceptPermissions is the consent to everything the manifest asks for.
	AcceptPermissions bool              `json:"acceptPermissions,omitempty" doc:"Grants everything that the manifest asks for. Without it and without grants the plugin stays disabled until it is granted."`
	Grants            []plugin.Grant    `json:"grants,omitempty" doc:"Grants these, instead of everything."`
	Config            json.RawMessage   `json:"config,omitempty" doc:"The configuration, by the manifest's schema."`
	Secrets           map[string]string `json:"secrets,omitempty" doc:"Values of the manifest's secrets."`
	Enable            *bool             `json:"enable,omitempty" doc:"False installs without enabling."`
	// Force is for upgrades alone.
	Force bool `json:"force,omitempty" doc:"Upgrades although the new release breaks at recorded calls that the installed one answered."`
}

// shortName returns the part of "namespace/name" after the slash.
func shortName(name string) string {
	_, short, ok := strings.Cut(name, "/")
	if !ok {
		return name
	}
	return short
}

// readInstall reads a request to install, upgrade or preview a release, in any
// of its three forms.
func (a *API) readInstall(r *http.Request) (plugin.Source, installRequest, error) {
	// The right comes before the body: an upload is large.
	if err := a.s.Authz.Authorize(r.Context(), caller(r), host.ActionPluginManage, "*"); err != nil {
		return plugin.Source{}, installRequest{}, err
	}
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		mediaType = r.Header.Get("Content-Type")
	}
	switch mediaType {
	case jsonType:
		return a.readNamed(r)
	case packageType, "application/vnd.oci.image.layout.v1+tar", "application/x-tar":
		req, err := installQuery(r.URL.Query())
		if err != nil {
			return plugin.Source{}, req, err
		}
		upload, err := io.ReadAll(r.Body)
		return plugin.Source{Upload: upload}, req, nonEmpty(upload, err)
	case multipartType:
		return readParts(r, params["boundary"])
	}
	return plugin.Source{}, installRequest{}, host.Errorf(host.CodeInvalid, "The Content-Type %q is not one of %s, %s, %s.",
		clip(mediaType), jsonType, packageType, multipartType).
		WithHint("Name a bundled plugin in JSON, or send the packaged file as %s.", packageType)
}

// readNamed reads the JSON form: the release is named, not sent.
func (a *API) readNamed(r *http.Request) (plugin.Source, installRequest, error) {
	var req installRequest
	if err := decodeStrict(io.LimitReader(r.Body, maxBody), &req); err != nil {
		return plugin.Source{}, req, err
	}
	switch {
	case req.Bundled != "" && req.Path != "":
		return plugin.Source{}, req, fieldError("/body/path", "Say bundled or path, not both.")
	case req.Bundled != "":
		return plugin.Source{Bundled: req.Bundled}, req, nil
	case req.Path == "":
		return plugin.Source{}, req, fieldError("/body/bundled", "Say which plugin: bundled, or send a packaged file.")
	case !a.s.LocalPaths:
		return plugin.Source{}, req, host.Errorf(host.CodeForbidden, "Plugins are not installed from folders of the server here.").
			WithHint("Send the packaged file, as callboard plugin install does, or start a developer's host with --development.")
	case !filepath.IsAbs(req.Path):
		return plugin.Source{}, req, fieldError("/body/path", "The path must be absolute.")
	}
	return plugin.Source{Path: filepath.Clean(req.Path)}, req, nil
}

// readParts reads the multipart form: the file "package" and, before or after
// it, the JSON part "options".
func readParts(r *http.Request, boundary string) (plugin.Source, installRequest, error) {
	var req installRequest
	var from plugin.Source
	if boundary == "" {
		return from, req, fieldError("/header/Content-Type", "The multipart form has no boundary.")
	}
	parts, err := r.MultipartReader()
	if err != nil {
		return from, req, host.Errorf(host.CodeInvalid, "The multipart form cannot be read.")
	}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return from, req, unreadable(err)
		}
		switch part.FormName() {
		case "package":
			from.Upload, err = io.ReadAll(part)
		case "options":
			err = decodeStrict(io.LimitReader(part, maxBody), &req)
		default:
			err = fieldError("/body/"+clip(part.FormName()), "The form has a part %q; it may have package and options.", clip(part.FormName()))
		}
		if err != nil {
			return from, req, unreadable(err)
		}
	}
	return from, req, nonEmpty(from.Upload, nil)
}

// unreadable keeps errors that say enough and explains the others.
func unreadable(err error) error {
	var e *host.Error
	var large *http.MaxBytesError
	if errors.As(err, &e) || errors.As(err, &large) {
		return err
	}
	return &host.Error{Code: host.CodeInvalid, Message: "The body ended before it was complete.", Hint: "Send it again.", Err: err}
}

// nonEmpty refuses an upload without a file.
func nonEmpty(upload []byte, err error) error {
	if err != nil {
		return unreadable(err)
	}
	if len(upload) == 0 {
		return fieldError("/body", "The upload holds no packaged file.").WithHint("callboard plugin package makes one.")
	}
	return nil
}

// installQuery reads what can be said beside a bare upload.
func installQuery(q url.Values) (installRequest, error) {
	var req installRequest
	for name, values := range q {
		yes := values[0] == "" || values[0] == "true"
		if !yes && values[0] != "false" {
			return req, fieldError("/query/"+clip(name), "%s is neither true nor false.", clip(name))
		}
		switch name {
		case "acceptPermissions":
			req.AcceptPermissions = yes
		case "enable":
			req.Enable = &yes
		case "force":
			req.Force = yes
		default:
			return req, fieldError("/query/"+clip(name), "The parameter %q is unknown; there are acceptPermissions, enable and force.", clip(name))
		}
	}
	return req, nil
}

// decodeStrict reads one JSON value that has no unknown members and nothing
// after it.
func decodeStrict(r io.Reader, into any) error {
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if err == nil && dec.More() {
		err = errors.New("there is something after the JSON value")
	}
	if err == nil {
		return nil
	}
	var large *http.MaxBytesError
	var typed *json.UnmarshalTypeError
	switch {
	case errors.As(err, &large):
		return err
	case errors.As(err, &typed):
		return fieldError("/body/"+strings.ReplaceAll(typed.Field, ".", "/"), "A %s stands where %s is expected.", typed.Value, typed.Type)
	}
	return fieldError("/body", "The body is not the JSON that is expected: %s.", strings.TrimPrefix(err.Error(), "json: "))
}

// installPlugin installs a release. It answers when the release is stored; the
// instance tells how far its compilation is.
func (a *API) installPlugin(w http.ResponseWriter, r *http.Request) {
	from, req, err := a.readInstall(r)
	if err != nil {
		Fail(w, r, err)
		return
	}
	i, err := a.s.Installer.Install(r.Context(), caller(r), from, plugin.InstallOptions{
		Grants: req.Grants, AcceptAll: req.AcceptPermissions, Config: req.Config, Secrets: req.Secrets,
		Enable: req.Enable == nil || *req.Enable,
	})
	if err != nil {
		Fail(w, r, err)
		return
	}
	w.Header().Set("Location", "/api/v1/plugins/"+url.PathEscape(i.Short))
	writeJSON(w, r, http.StatusCreated, instanceOf(i))
}

// upgradePlugin exchanges the release of an instance.
func (a *API) upgradePlugin(w http.ResponseWriter, r *http.Request) {
	from, req, err := a.readInstall(r)
	if err != nil {
		Fail(w, r, err)
		return
	}
	i, err := a.s.Installer.Upgrade(r.Context(), caller(r), r.PathValue("plugin"), from,
		plugin.UpgradeOptions{Grants: req.Grants, AcceptAll: req.AcceptPermissions, Config: req.Config, Force: req.Force})
	if err != nil {
		Fail(w, r, err)
		return
	}
	writeJSON(w, r, http.StatusOK, instanceOf(i))
}

// previewPlugin says what a release is and asks for, and installs nothing.
func (a *API) previewPlugin(w http.ResponseWriter, r *http.Request) {
	from, _, err := a.readInstall(r)
	if err != nil {
		Fail(w, r, err)
		return
	}
	p, err := a.s.Plugins.Inspect(r.Context(), caller(r), from)
	if err != nil {
		Fail(w, r, err)
		return
	}
	writeJSON(w, r, http.StatusOK, previewOf(p))
}
