package irmc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Settings is where the BIOS settings that users see are kept: the table bios_settings.
type Settings interface {
	// ReplaceBIOSSettings makes the stored settings of a node, by name, those given and no others.
	ReplaceBIOSSettings(ctx context.Context, nodeID int64, settings map[string]string) error
}

// BIOS is the bios interface irmc, over eLCM.
type BIOS struct {
	cfg      Config
	settings Settings
}

// NewBIOS returns the bios interface irmc.
func NewBIOS(cfg Config, settings Settings) *BIOS { return &BIOS{cfg, settings} }

// Properties describes how a node names its iRMC.
func (*BIOS) Properties() map[string]string { return properties() }

// Validate checks driver_info.
func (b *BIOS) Validate(_ context.Context, t *drivers.Task) error {
	_, err := access(t.Node, b.cfg)
	return err
}

// Steps is the one that changes settings, in cleaning.
func (b *BIOS) Steps(kind drivers.StepKind) []drivers.Step {
	if kind != drivers.CleanStep {
		return nil
	}
	return []drivers.Step{{Interface: drivers.TypeBIOS, Name: "apply_configuration", RequiresRamdisk: true, Run: b.apply, Resume: b.resume,
		Args: map[string]drivers.StepArg{"settings": {Required: true, Description: "Dictionary containing the BIOS configuration."}}}}
}

// The operations that users are told of.
const (
	applying = "Apply BIOS configuration"
	caching  = "Cache BIOS settings"
)

// CacheSettings records the settings of the profile that the iRMC has, or has it read one, which restarts the machine.
func (b *BIOS) CacheSettings(ctx context.Context, t *drivers.Task) error {
	profile, err := b.read(ctx, t)
	if err != nil {
		return b.failed(caching, err)
	}
	all := map[string]string{}
	values := dig(profile, "Server", "SystemConfig", profileBIOS)
	for name, at := range settingNames {
		group, key, _ := strings.Cut(at, "_")
		section, _ := values[group].(map[string]any)
		if value, there := section[key]; there {
			all[name] = store.PythonText(value)
		}
	}
	return b.settings.ReplaceBIOSSettings(ctx, t.Node.ID, all)
}

func (b *BIOS) read(ctx context.Context, t *drivers.Task) (map[string]any, error) {
	r, closeREST, err := openREST(t.Node, b.cfg)
	if err != nil {
		return nil, err
	}
	defer closeREST()
	profile, err := r.profile(ctx, profileBIOS)
	if err != nil || profile != nil {
		return profile, err
	}
	id, err := r.readProfile(ctx, biosAt)
	if err != nil {
		return nil, err
	}
	t.Worker.Report(t, drivers.Progress{Doing: "waiting for the iRMC to read the BIOS settings", Waiting: true})
	if err := r.await(ctx, id, "BACKUP_BIOS", b.cfg.sessionPause()); err != nil {
		return nil, err
	}
	b.forget(ctx, t, r, id)
	profile, err = r.profile(ctx, profileBIOS)
	if err == nil && profile == nil {
		err = &fault{fmt.Sprintf("Profile %q not found in the profile store.", profileBIOS)}
	}
	return profile, err
}

// forget takes a session that is over from the list. That it stays there harms nothing.
func (*BIOS) forget(ctx context.Context, t *drivers.Task, r *rest, id string) {
	if err := r.forgetSession(ctx, id); err != nil {
		t.Log.Warn().Err(err).Msg("A session of eLCM that is over could not be removed")
	}
}

// dig follows keys into nested objects; what is not there is empty.
func dig(values map[string]any, keys ...string) map[string]any {
	for _, key := range keys {
		values, _ = values[key].(map[string]any)
	}
	return values
}

// failed is ironic's IRMCOperationError, but for what is wrong with driver_info.
func (*BIOS) failed(operation string, err error) error {
	if store.KindOf(err) != "" || errors.Is(err, context.Canceled) {
		return err
	}
	return operationFailed(operation, err.Error())
}

// keySession names, in driver_internal_info, the session that brings settings into the machine, and keyOver tells that it has.
const (
	keySession = "ironmaster_irmc_session"
	keyOver    = "ironmaster_irmc_session_over"
)

// apply has the iRMC bring settings into the machine.
//
// Crash window: a session that the row does not know of is begun again, with the same settings.
func (b *BIOS) apply(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	id, err := b.begin(ctx, t, args)
	if err != nil {
		return drivers.Done, b.failed(applying, err)
	}
	t.Node.DriverInternalInfo[keySession] = id
	drivers.AsyncStep{Skip: true, Polling: true}.Note(t.Node)
	return drivers.Waiting, t.Worker.Save(ctx, t)
}

func (b *BIOS) resume(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	if b.UnderWay(t.Node) {
		return drivers.Waiting, nil
	}
	return b.apply(ctx, t, args)
}

func (b *BIOS) begin(ctx context.Context, t *drivers.Task, args store.Dict) (string, error) {
	values := map[string]any{"@Processing": "execute"}
	for _, item := range args.List("settings") {
		one := store.Dict{"setting": item}.Dict("setting")
		at, known := settingNames[one.String("name")]
		if !known {
			return "", &fault{"Invalid BIOS setting: " + store.PythonRepr(item)}
		}
		group, key, _ := strings.Cut(at, "_")
		section, _ := values[group].(map[string]any)
		if section == nil {
			section = map[string]any{}
			values[group] = section
		}
		section[key] = settingValue(one["value"])
	}
	r, closeREST, err := openREST(t.Node, b.cfg)
	if err != nil {
		return "", err
	}
	defer closeREST()
	server := map[string]any{"SystemConfig": map[string]any{profileBIOS: values}}
	var versions map[string]any
	err = r.elcm(ctx, http.MethodGet, profilesAt+"version", nil, nil, http.StatusOK, "Failed to get profile versions", &versions)
	if err != nil {
		return "", err
	}
	for _, one := range []struct {
		of   map[string]any
		into map[string]any
	}{{dig(versions, "Server"), server}, {dig(versions, "Server", "SystemConfig", profileBIOS), values}} {
		if version, told := one.of["@Version"]; told {
			one.into["@Version"] = version
		}
	}
	return r.writeProfile(ctx, map[string]any{"Server": server})
}

// settingValue is what users may write true and false for.
func settingValue(value any) any {
	switch text, _ := value.(string); strings.ToLower(text) {
	case "true":
		return true
	case "false":
		return false
	}
	return value
}

// UnderWay tells whether the iRMC brings settings into the machine.
func (*BIOS) UnderWay(n *store.Node) bool { return n.DriverInternalInfo.String(keySession) != "" }

// Poll looks how the session stands, and boots the agent again when it is over.
//
// Crash windows: that the session is over is saved before it is removed from the iRMC's list, where it is not looked for again. Until the
// row knows of the restart it is made once more, as it is when the machine was not to be restarted.
func (b *BIOS) Poll(ctx context.Context, t *drivers.Task) (bool, error) {
	info := t.Node.DriverInternalInfo
	id := info.String(keySession)
	if !info.Bool(keyOver, false) {
		r, closeREST, err := openREST(t.Node, b.cfg)
		if err != nil {
			return false, err
		}
		defer closeREST()
		over, err := r.sessionOver(ctx, id, "RESTORE_BIOS")
		var failed *fault
		switch {
		case errors.As(err, &failed), absent(err):
			b.clear(t.Node)
			return false, &drivers.StepFailure{Text: b.failed(applying, err).Error()}
		case err != nil || !over:
			return false, err
		}
		info[keyOver] = true
		if err := t.Worker.Save(ctx, t); err != nil {
			return false, err
		}
		b.forget(ctx, t, r, id)
	}
	if err := b.CacheSettings(ctx, t); err != nil {
		t.Log.Warn().Err(err).Msg("BIOS settings could not be read after a change")
	}
	if drivers.WithoutRamdisk(t.Node) {
		b.clear(t.Node)
		return true, nil
	}
	if err := drivers.RebootToFinish(ctx, t); err != nil {
		return false, err
	}
	// The agent that boots goes on with the flow.
	b.clear(t.Node)
	delete(info, "cleaning_polling")
	return false, t.Worker.Save(ctx, t)
}

func (*BIOS) clear(n *store.Node) {
	delete(n.DriverInternalInfo, keySession)
	delete(n.DriverInternalInfo, keyOver)
}

// Discard forgets a session.
func (b *BIOS) Discard(_ context.Context, t *drivers.Task) error {
	b.clear(t.Node)
	return nil
}

// sessionPause is the pause between two looks at a session.
func (c Config) sessionPause() time.Duration {
	if c.SessionPause > 0 {
		return c.SessionPause
	}
	return sessionPause
}

var (
	_ drivers.BIOS   = (*BIOS)(nil)
	_ drivers.Polled = (*BIOS)(nil)
)
