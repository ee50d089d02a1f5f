package inspection

import (
	"context"
	"errors"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// keyOff tells that a machine was off before its inspection, which switched it on.
const keyOff = "ironmaster_inspected_off"

// WhileOn inspects a machine that tells more when it runs: one that is off is switched on before, and off afterwards. start prepares a
// machine for that start; it may be nil.
//
// Crash window: the row knows that the machine was off before it is switched on. An inspection that is begun anew leaves it as it was.
func WhileOn(ctx context.Context, t *drivers.Task, state string, start func() error, inspect func() error) error {
	if state != store.PowerOn && !t.Node.DriverInternalInfo.Bool(keyOff, false) {
		if start != nil {
			if err := start(); err != nil {
				return err
			}
		}
		if t.Node.DriverInternalInfo == nil {
			t.Node.DriverInternalInfo = store.Dict{}
		}
		t.Node.DriverInternalInfo[keyOff] = true
		if err := t.Worker.Save(ctx, t); err != nil {
			return err
		}
	}
	if state != store.PowerOn {
		if err := t.Worker.SetPower(ctx, t, store.PowerOn); err != nil {
			return err
		}
	}
	if err := inspect(); err != nil {
		if !errors.Is(err, store.ErrLockLost) && ctx.Err() == nil {
			// The machine stays on, as with ironic, and that is how the next inspection finds it.
			delete(t.Node.DriverInternalInfo, keyOff)
		}
		return err
	}
	if !t.Node.DriverInternalInfo.Bool(keyOff, false) {
		return nil
	}
	delete(t.Node.DriverInternalInfo, keyOff)
	return t.Worker.SetPower(ctx, t, store.PowerOff)
}
