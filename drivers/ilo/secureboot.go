package ilo

import (
	"context"
	"fmt"
	"net/http"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// secureBootAt is where the SecureBoot resource is; iLO 4 links to it among HPE's own.
func secureBootAt(s *redfish.System) string {
	if path := readExtension(s).Links["SecureBoot"].path(); path != "" {
		return path
	}
	return systemID + "SecureBoot/"
}

// secureBootState is the SecureBoot resource. iLO 4 tells its state in a way of its own.
type secureBootState struct {
	SecureBootEnable       bool
	SecureBootCurrentBoot  schemas.SecureBootCurrentBootType
	SecureBootCurrentState bool
	Actions                map[string]struct {
		Target string `json:"target"`
	}
}

// readSecureBoot reads the resource; "" as the path stands for an iLO that lacks it.
func readSecureBoot(s *redfish.System) (state secureBootState, path string, err error) {
	path = secureBootAt(s)
	err = s.Read(path, &state)
	if status := redfish.Refused(err); status == http.StatusNotFound || status == http.StatusNotImplemented {
		return state, "", nil
	}
	return state, path, err
}

// SecureBoot tells whether the machine has started with secure boot. With BIOS there is none.
func (m *Management) SecureBoot(ctx context.Context, t *drivers.Task) (on bool, err error) {
	err = m.bmcs.Do(ctx, t, fmt.Sprintf("Get secure boot mode for node %s.", t.Node.UUID), func(s *redfish.System) error {
		on, err = secureBoot(s, t)
		return err
	})
	return on, err
}

func secureBoot(s *redfish.System, t *drivers.Task) (bool, error) {
	mode, err := currentMode(s)
	if err != nil || mode != store.BootModeUEFI {
		return false, err
	}
	state, path, err := readSecureBoot(s)
	switch {
	case err != nil:
		return false, err
	case path == "":
		return false, drivers.Unsupported(t, "get_secure_boot_state")
	}
	return state.SecureBootCurrentState || state.SecureBootCurrentBoot == schemas.EnabledSecureBootCurrentBootType, nil
}

// SetSecureBoot switches secure boot from the next start on. It needs UEFI.
func (m *Management) SetSecureBoot(ctx context.Context, t *drivers.Task, on bool) error {
	return m.setSecureBoot(ctx, t, on)
}

func (b *base) setSecureBoot(ctx context.Context, t *drivers.Task, on bool) error {
	value := "False"
	if on {
		value = "True"
	}
	operation := fmt.Sprintf("Setting secure boot to %s for node %s.", value, t.Node.UUID)
	return b.bmcs.Do(ctx, t, operation, func(s *redfish.System) error {
		mode, err := currentMode(s)
		if err != nil {
			return err
		}
		if mode != store.BootModeUEFI {
			return operationFailed(operation,
				`System is not in UEFI boot mode. "SecureBoot" related resources cannot be changed.`)
		}
		state, path, err := readSecureBoot(s)
		switch {
		case err != nil:
			return err
		case path == "":
			return drivers.Unsupported(t, "set_secure_boot_state")
		case state.SecureBootEnable == on:
			return nil
		}
		return s.Change(path, map[string]bool{"SecureBootEnable": on})
	})
}

// admitRamdisk makes a machine that is off start a ramdisk of ours: it switches secure boot off, or else sets the boot mode, for an
// iLO does not take both at once.
func (b *base) admitRamdisk(ctx context.Context, t *drivers.Task) error {
	secure, err := b.disableSecureBoot(ctx, t)
	if err != nil {
		return err
	}
	if !secure {
		return b.syncBootMode(ctx, t)
	}
	wanted, err := drivers.WantedBootMode(t.Node)
	if err != nil || wanted != "" {
		return err
	}
	return recordMode(ctx, t, store.BootModeUEFI)
}

// disableSecureBoot switches secure boot off on a machine that has it, for it would start no ramdisk. It tells whether it was on: then
// the machine is in UEFI mode, and stays in it.
func (b *base) disableSecureBoot(ctx context.Context, t *drivers.Task) (was bool, err error) {
	err = b.bmcs.Do(ctx, t, fmt.Sprintf("Get secure boot mode for node %s.", t.Node.UUID), func(s *redfish.System) error {
		was, err = secureBoot(s, t)
		if store.KindOf(err) == store.UnsupportedDriverExtension {
			return nil
		}
		return err
	})
	if err != nil || !was {
		return false, err
	}
	return true, b.setSecureBoot(ctx, t, false)
}
