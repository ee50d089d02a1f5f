package redfish

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// BIOSConfig is how BIOS settings are changed, which differs between releases of ironic.
type BIOSConfig struct {
	// OneMark has both steps note under one name that they have begun, as since 2025.1.
	OneMark bool
	// WithoutRamdisk has the steps need no agent, as ironic 39.0 does: settings are held against the registry before they are sent, those
	// that are right already are not, and in a flow without an agent the BMC is asked when they have taken effect. Instances may have their
	// settings reset.
	WithoutRamdisk bool
}

// biosChange has the BMC note a change of settings. wanted are the settings that are to have taken effect after the restart; done tells that
// there is nothing to change.
type biosChange func(ctx context.Context, s *system, f *biosResource, args store.Dict) (wanted map[string]any, done bool, err error)

// Steps change settings. Each restarts the machine in its middle.
func (b *BIOS) Steps(kind drivers.StepKind) []drivers.Step {
	if kind == drivers.VerifyStep {
		return nil
	}
	free := b.cfg.WithoutRamdisk && kind != drivers.DeployStep
	steps := []drivers.Step{
		{Name: "factory_reset", Run: b.begin(markReset, resetBIOS), Resume: b.goOn(markReset, resetBIOS)},
		{Name: "apply_configuration", Run: b.begin(markApplied, b.apply), Resume: b.goOn(markApplied, b.apply),
			Args: map[string]drivers.StepArg{"settings": {Description: "A list of BIOS settings to be applied", Required: true}}},
	}
	for i := range steps {
		steps[i].Interface, steps[i].RequiresRamdisk = drivers.TypeBIOS, !free
	}
	if kind == drivers.ServiceStep && !b.cfg.WithoutRamdisk {
		// Nobody takes the settings away from an instance that runs with them.
		return steps[1:]
	}
	return steps
}

// begin is the first half of a step: it has the BMC note a change, and reboots.
//
// Crash windows: a change that the BMC has noted and the row does not know is noted once more, which does no harm. One that the row
// knows is followed by a reboot, again if need be.
func (b *BIOS) begin(mark string, change biosChange) func(context.Context, *drivers.Task, store.Dict) (drivers.Outcome, error) {
	return func(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
		if b.begun(t.Node, mark) {
			return b.secondHalf(ctx, t)
		}
		var wanted map[string]any
		done := false
		err := b.on(ctx, t, "", func(s *system) error {
			f, err := s.biosToChange()
			if err == nil {
				wanted, done, err = change(ctx, s, f, args)
			}
			return err
		})
		switch {
		case err != nil:
			return drivers.Done, err
		case done:
			t.Log.Info().Msg("The BIOS settings are as they are to be already")
			return drivers.Done, b.CacheSettings(ctx, t)
		}
		// gofail: var biosChanged struct{}
		b.note(t.Node, mark, wanted)
		drivers.AsyncStep{Polling: b.cfg.WithoutRamdisk && drivers.WithoutRamdisk(t.Node)}.Note(t.Node)
		if err := t.Worker.Save(ctx, t); err != nil {
			return drivers.Done, err
		}
		// gofail: var biosNoted struct{}
		if err := drivers.RebootToFinish(ctx, t); err != nil {
			return drivers.Done, err
		}
		return drivers.Waiting, b.CacheSettings(ctx, t)
	}
}

// goOn is what a step does when it may have begun before: as it does anyway when the machine is back from its reboot.
func (b *BIOS) goOn(mark string, change biosChange) func(context.Context, *drivers.Task, store.Dict) (drivers.Outcome, error) {
	first := b.begin(mark, change)
	return func(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
		if b.begun(t.Node, mark) && drivers.RebootDue(t.Node) {
			// Nobody knows whether the machine was rebooted.
			return drivers.Waiting, drivers.RebootToFinish(ctx, t)
		}
		return first(ctx, t, args)
	}
}

func (s *system) biosToChange() (*biosResource, error) {
	f, err := s.bios()
	var none *missing
	if errors.As(err, &none) {
		return nil, redfishError("Redfish BIOS factory reset failed for node %s, because BIOS settings are not supported.", s.task.Node.UUID)
	}
	return f, err
}

func resetBIOS(_ context.Context, s *system, f *biosResource, _ store.Dict) (map[string]any, bool, error) {
	preface := fmt.Sprintf("Redfish BIOS factory reset failed for node %s. Error: ", s.task.Node.UUID)
	if f.Actions.Reset.Target == "" {
		return nil, false, redfishError("%sThe action #Bios.ResetBios is missing from the resource %s", preface, f.path)
	}
	if _, err := s.Act(f.Actions.Reset.Target, struct{}{}); err != nil {
		return nil, false, s.told(err, preface)
	}
	return nil, false, nil
}

func (b *BIOS) apply(ctx context.Context, s *system, f *biosResource, args store.Dict) (map[string]any, bool, error) {
	wanted, err := wantedSettings(args)
	if err != nil {
		return nil, false, err
	}
	if b.cfg.WithoutRamdisk {
		known, err := b.settings.BIOSSettings(ctx, s.task.Node.ID)
		if err != nil {
			return nil, false, err
		}
		if err := wanted.fit(s.task.Node.UUID, known); err != nil {
			return nil, false, err
		}
		if f.isAll(wanted, s.pending(f)) {
			return nil, true, nil
		}
	}
	values := wanted.values()
	payload := map[string]any{"Attributes": values}
	if slices.Contains(f.Settings.Times, "OnReset") {
		payload["@Redfish.SettingsApplyTime"] = preferredApplyTime("OnReset")
	}
	at := f.Settings.Object.Path
	if at == "" {
		at = f.path
	}
	if err := s.Change(at, payload); err != nil {
		return nil, false, s.told(err, fmt.Sprintf("Redfish BIOS apply configuration failed for node %s. Error: ", s.task.Node.UUID))
	}
	return values, false, nil
}

// secondHalf looks what became of a change.
func (b *BIOS) secondHalf(ctx context.Context, t *drivers.Task) (drivers.Outcome, error) {
	missed, err := b.missed(ctx, t)
	if err != nil {
		return drivers.Done, err
	}
	// The flow writes this with its next step: until then the step is where it is.
	forgetBegun(t.Node)
	if len(missed) > 0 {
		return drivers.Done, &drivers.StepFailure{Text: "Redfish BIOS apply_configuration step failed. Attributes " +
			store.PythonRepr(missed) + " are not updated."}
	}
	return drivers.Done, b.CacheSettings(ctx, t)
}

// missed are the settings of a change that have not taken effect.
func (b *BIOS) missed(ctx context.Context, t *drivers.Task) (missed map[string]any, err error) {
	err = b.on(ctx, t, "", func(s *system) error {
		f, err := s.biosToChange()
		if err == nil {
			var pending map[string]any
			if b.cfg.WithoutRamdisk {
				pending = s.pending(f)
			}
			missed = f.missing(wantedOf(t.Node), pending)
		}
		return err
	})
	return missed, err
}
