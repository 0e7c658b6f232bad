package recording

import (
	"context"
	"fmt"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
)

// House is what the archive needs of plugin.House.
type House interface {
	Get(ctx context.Context, c host.Caller, name string) (plugin.Instance, error)
	Code(ctx context.Context, c host.Caller, name string) (code []byte, digest string, err error)
}

// Archive is how admins reach the recordings of their plugins. A recording
// holds what people asked of a plugin, so only who may manage it may see them,
// and taking one out is audited.
type Archive struct {
	store *Store
	house House
	authz host.Authorizer
	audit host.Auditor
	// forget makes the recorder read a rule anew.
	forget func(instance string)
}

// NewArchive returns the archive over a store. Forget is Recorder.Forget.
func NewArchive(s *Store, h House, authz host.Authorizer, audit host.Auditor, forget func(instance string)) *Archive {
	return &Archive{store: s, house: h, authz: authz, audit: audit, forget: forget}
}

// instance authorises and finds.
func (a *Archive) instance(ctx context.Context, c host.Caller, name string) (plugin.Instance, error) {
	in, err := a.house.Get(ctx, c, name)
	if err != nil {
		return in, err
	}
	return in, a.authz.Authorize(ctx, c, host.ActionPluginManage, "plugin:"+in.Short)
}

func (a *Archive) record(ctx context.Context, c host.Caller, in plugin.Instance, change string, detail map[string]string) error {
	if detail == nil {
		detail = map[string]string{}
	}
	detail["change"] = change
	return a.audit.Record(ctx, c, host.AuditEntry{Action: host.ActionPluginManage, Resource: "plugin:" + in.Short, Detail: detail})
}

// List returns the newest recordings of a plugin.
func (a *Archive) List(ctx context.Context, c host.Caller, name string, limit int) ([]Entry, error) {
	in, err := a.instance(ctx, c, name)
	if err != nil {
		return nil, err
	}
	return a.store.List(ctx, in.Tenant, in.ID, "", limit)
}

// Export returns a recording. The code comes along where the release that it
// was made with is the one that is installed.
func (a *Archive) Export(ctx context.Context, c host.Caller, name, id string) (*Recording, error) {
	in, err := a.instance(ctx, c, name)
	if err != nil {
		return nil, err
	}
	r, err := a.store.Get(ctx, in.Tenant, in.ID, id)
	if err != nil {
		return nil, err
	}
	if r.Digest == in.Digest {
		code, _, err := a.house.Code(ctx, c, name)
		if err != nil {
			return nil, err
		}
		if err := r.Attach(code); err != nil {
			return nil, err
		}
	}
	return r, a.record(ctx, c, in, "export recording", map[string]string{"recording": id})
}

// Delete removes a recording, or all of a plugin where id is empty.
func (a *Archive) Delete(ctx context.Context, c host.Caller, name, id string) error {
	in, err := a.instance(ctx, c, name)
	if err != nil {
		return err
	}
	if err := a.store.Delete(ctx, in.Tenant, in.ID, id); err != nil {
		return err
	}
	return a.record(ctx, c, in, "delete recording", map[string]string{"recording": id})
}

// Rule returns which calls of a plugin are recorded.
func (a *Archive) Rule(ctx context.Context, c host.Caller, name string) (Rule, error) {
	in, err := a.instance(ctx, c, name)
	if err != nil {
		return Rule{}, err
	}
	rule, _, err := a.store.Rule(ctx, in.Tenant, in.ID)
	return rule, err
}

// SetRule says which calls of a plugin are recorded, and drops what the rule
// does not keep.
func (a *Archive) SetRule(ctx context.Context, c host.Caller, name string, rule Rule) (Rule, error) {
	in, err := a.instance(ctx, c, name)
	if err != nil {
		return Rule{}, err
	}
	if err := a.store.SetRule(ctx, in.Tenant, in.ID, rule); err != nil {
		return Rule{}, err
	}
	a.forget(in.ID)
	return rule, a.record(ctx, c, in, "set recording rule", map[string]string{
		"sample": fmt.Sprint(rule.Sample), "keep": rule.Keep.String(), "most": fmt.Sprint(rule.Most),
	})
}
