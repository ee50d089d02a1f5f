package redfish

import (
	"context"
	"fmt"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

var bootModes = map[string]schemas.BootSourceOverrideMode{
	store.BootModeUEFI: schemas.UEFIBootSourceOverrideMode,
	store.BootModeBIOS: schemas.LegacyBootSourceOverrideMode,
}

// BootMode reads BootSourceOverrideMode; "" when the BMC does not tell.
func (m *Management) BootMode(ctx context.Context, t *drivers.Task) (mode string, err error) {
	err = m.on(ctx, t, "", func(s *system) error {
		mode = s.bootMode()
		return nil
	})
	return mode, err
}

// bootMode is the mode of the boot override, "" when the BMC does not tell.
func (s *system) bootMode() string {
	for name, value := range bootModes {
		if s.Boot.BootSourceOverrideMode == value {
			return name
		}
	}
	return ""
}

// SetBootMode sets BootSourceOverrideMode for the next start. A BMC that refuses and does not tell the mode either cannot do
// it at all, which is UnsupportedDriverExtension and lets a deployment go on.
func (m *Management) SetBootMode(ctx context.Context, t *drivers.Task, mode string) error {
	value, known := bootModes[mode]
	if !known {
		return store.Errorf(store.InvalidParameterValue, "Invalid boot mode %s specified.", mode)
	}
	return m.on(ctx, t, "", func(s *system) error {
		if s.Boot.BootSourceOverrideMode == value {
			return nil
		}
		err := s.setBoot(&schemas.Boot{BootSourceOverrideMode: value})
		if statusOf(err) != 0 && s.Boot.BootSourceOverrideMode == "" {
			t.Log.Info().Str("reason", s.session.explain(err)).Msg("the BMC does not know boot modes")
			return drivers.Unsupported(t, "set_boot_mode")
		}
		if err != nil {
			return s.told(err, fmt.Sprintf("Setting boot mode to %s failed for node %s. Error: ", mode, t.Node.UUID))
		}
		return nil
	})
}
