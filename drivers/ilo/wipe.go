package ilo

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// stepWipe is the step by which a machine of Gen10 forgets everything, its iLO's accounts and licenses among it.
const stepWipe = "one_button_secure_erase"

// wipeReason is why a node that was wiped is in maintenance, in ironic's words.
const wipeReason = "One Button Secure erase clean step has begun, it will wipe data from drives and any non-volatile/persistent storage, reset iLO " +
	"and delete all licenses stored there, reset BIOS settings, delete  Active Health System (AHS) and warranty data stored in the system and " +
	"delete any deployment settings profiles."

func (m *Management5) wipeStep() drivers.Step {
	return drivers.Step{Interface: drivers.TypeManagement, Name: stepWipe, RequiresRamdisk: true, Run: m.wipe, Resume: m.resumeWipe}
}

// wipe has the machine forget everything when it starts, and restarts it. Nothing goes on by itself from here: the node waits, in
// maintenance, for its operator.
//
// Crash window: maintenance is saved before the restart. A worker that finds it so restarts no machine a second time in the midst of that.
func (m *Management5) wipe(ctx context.Context, t *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
	err := m.bmcs.Do(ctx, t, stepWipe, func(s *redfish.System) error {
		target := readExtension(s).action("SecureSystemErase")
		if target == "" {
			return reason("The attribute Oem/Hpe/Actions/#HpeComputerSystemExt.SecureSystemErase is missing from the resource " + systemID)
		}
		_, err := s.Act(target, map[string]bool{"SystemROMAndiLOErase": true, "UserDataErase": true})
		return err
	})
	if store.KindOf(err) == store.IloOperationError {
		return drivers.Done, &drivers.StepFailure{Text: err.Error()}
	}
	if err != nil {
		return drivers.Done, err
	}
	why := wipeReason
	t.Node.Maintenance, t.Node.MaintenanceReason = true, &why
	if err := t.Worker.Save(ctx, t); err != nil {
		return drivers.Done, err
	}
	return drivers.Waiting, t.Worker.SetPower(ctx, t, store.Reboot)
}

func (m *Management5) resumeWipe(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	if why := t.Node.MaintenanceReason; t.Node.Maintenance && why != nil && *why == wipeReason {
		return drivers.Waiting, nil
	}
	return m.wipe(ctx, t, args)
}
