package redfish

import (
	"context"
	"fmt"
	"net/http"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// secureBoot reads the SecureBoot resource; a system without one, or that has none in its boot mode, cannot do operation.
func (s *system) secureBoot(operation string) (*schemas.SecureBoot, error) {
	resource, err := s.SecureBoot()
	if err == nil && resource == nil || statusOf(err) == http.StatusNotFound || statusOf(err) == http.StatusNotImplemented {
		return nil, drivers.Unsupported(s.task, operation)
	}
	return resource, err
}

// SecureBoot reads whether secure boot takes effect at the next start.
func (m *Management) SecureBoot(ctx context.Context, t *drivers.Task) (on bool, err error) {
	err = m.on(ctx, t, "", func(s *system) error {
		resource, err := s.secureBoot("get_secure_boot_state")
		if err != nil {
			return err
		}
		on = resource.SecureBootEnable
		return nil
	})
	return on, err
}

// SetSecureBoot switches secure boot from the next start on. It needs UEFI.
func (m *Management) SetSecureBoot(ctx context.Context, t *drivers.Task, on bool) error {
	return m.on(ctx, t, "", func(s *system) error {
		resource, err := s.secureBoot("set_secure_boot_state")
		legacy := s.Boot.BootSourceOverrideMode == schemas.LegacyBootSourceOverrideMode
		switch {
		case legacy && (on || err == nil && resource.SecureBootEnable):
			return redfishError("Configuring secure boot requires UEFI for node %s", t.Node.UUID)
		case err != nil || resource.SecureBootEnable == on:
			return err
		}
		if err := patch(resource, map[string]bool{"SecureBootEnable": on}); err != nil {
			value := "False"
			if on {
				value = "True"
			}
			return s.told(err, fmt.Sprintf("Failed to set secure boot state on node %s to %s: ", t.Node.UUID, value))
		}
		return nil
	})
}

// keySteps change secure boot's keys.
func (m *Management) keySteps() []drivers.Step {
	return []drivers.Step{
		m.keyStep("reset_secure_boot_keys_to_default", schemas.ResetAllKeysToDefaultResetKeysType),
		m.keyStep("clear_secure_boot_keys", schemas.DeleteAllKeysResetKeysType),
	}
}

// keyStep may run twice: the keys are the same afterwards.
func (m *Management) keyStep(name string, reset schemas.ResetKeysType) drivers.Step {
	return drivers.Step{
		Interface:       drivers.TypeManagement,
		Name:            name,
		RequiresRamdisk: true,
		Run: func(ctx context.Context, t *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
			return drivers.Done, m.on(ctx, t, "", func(s *system) error {
				resource, err := s.secureBoot("reset_keys")
				if err != nil {
					return err
				}
				resource.DisableEtagMatch(true)
				if _, err := resource.ResetKeys(reset); err != nil {
					return s.told(err, fmt.Sprintf("Failed to reset secure boot keys on node %s: ", t.Node.UUID))
				}
				return nil
			})
		},
	}
}
