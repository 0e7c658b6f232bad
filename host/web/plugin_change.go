package web

import (
	"net/http"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
)

// grant gives a plugin what was chosen; where a newer release waits, it takes
// over.
func (s *site) grant(v *visit) error {
	in, err := v.Plugins.Get(v.ctx(), v.caller, v.r.PathValue("plugin"))
	if err != nil {
		return err
	}
	manifest, digest, first := in.Manifest, in.Digest, waitsForConsent(in)
	if in.Pending != nil && v.r.PostFormValue("all") == "true" {
		manifest, digest = in.Pending.Manifest, in.Pending.Digest
	}
	if v.r.PostFormValue("digest") != digest {
		return host.Errorf(host.CodeConflict, "The release changed while you looked at it.").WithHint("Review its permissions again.")
	}
	grants := chosen(manifest, v.r.PostForm["grant"])
	if v.r.PostFormValue("all") == "true" {
		grants = manifest.Permissions
	}
	if in, err = v.Changer.Grant(v.ctx(), v.caller, in.Name, grants); err != nil {
		return err
	}
	notice := good("What " + titleOfPlugin(in) + " may do is saved.")
	if first {
		if _, err := v.Changer.Enable(v.ctx(), v.caller, in.Name); err != nil {
			return v.redirect(pluginURL(in.Short), bad(host.AsError(err).Error()))
		}
		notice = good(titleOfPlugin(in) + " is enabled.")
	}
	return v.redirect(pluginURL(in.Short), notice)
}

// configure saves a plugin's configuration and secrets, or shows the form
// again with what is wrong.
func (s *site) configure(v *visit) error {
	in, err := v.Plugins.Get(v.ctx(), v.caller, v.r.PathValue("plugin"))
	if err != nil {
		return err
	}
	config, err := configForm(in.Manifest).Parse(v.r.PostForm)
	if in.Manifest.Config == nil {
		config = nil // secrets alone
	}
	if err == nil {
		_, err = v.Changer.Configure(v.ctx(), v.caller, in.Name, config, secretsSent(in.Manifest, v.r.PostForm))
	}
	if e := host.AsError(err); err != nil && e.Code == host.CodeInvalid {
		return v.showPlugin(http.StatusUnprocessableEntity, in, "configuration", config, e)
	}
	if err != nil {
		return err
	}
	return v.redirect(pluginURL(in.Short)+"?tab=configuration", good("The configuration is saved."))
}

// changePlugin switches a plugin on or off, goes back to its last release, or
// removes it.
func (s *site) changePlugin(v *visit) error {
	name := v.r.PathValue("plugin")
	var in plugin.Instance
	var err error
	done := ""
	switch v.r.PathValue("change") {
	case "enable":
		in, err = v.Changer.Enable(v.ctx(), v.caller, name)
		done = " is enabled."
	case "disable":
		in, err = v.Changer.Disable(v.ctx(), v.caller, name)
		done = " is disabled. Its data stay."
	case "retry":
		in, err = v.Meter.Retry(v.ctx(), v.caller, name)
		done = " is tried again."
	case "narrow":
		if in, err = v.Meter.Narrow(v.ctx(), v.caller, name); err == nil {
			return v.redirect(pluginURL(in.Short)+"?tab=permissions", good(titleOfPlugin(in)+" keeps what it has used."))
		}
	case "rollback":
		in, err = v.Installer.Rollback(v.ctx(), v.caller, name)
		done = " runs version " + in.Version + "."
	case "uninstall":
		if in, err = v.Plugins.Get(v.ctx(), v.caller, name); err == nil {
			err = v.Installer.Uninstall(v.ctx(), v.caller, name)
		}
		if err == nil {
			return v.redirect("/plugins", good(titleOfPlugin(in)+" is uninstalled."))
		}
	default:
		return notFound("There is no such action.")
	}
	if err != nil {
		return v.redirect(pluginURL(name), bad(host.AsError(err).Error()))
	}
	return v.redirect(pluginURL(in.Short), good(titleOfPlugin(in)+done))
}
