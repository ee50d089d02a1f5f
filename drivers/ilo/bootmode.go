package ilo

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// The boot modes in ironic's words and in the BIOS settings'.
var (
	modeOfSetting = map[string]string{biosUEFI: store.BootModeUEFI, biosLegacy: store.BootModeBIOS}
	settingOfMode = map[string]string{store.BootModeUEFI: biosUEFI, store.BootModeBIOS: biosLegacy}
)

// BootMode is the mode that the machine has started in.
func (m *Management) BootMode(ctx context.Context, t *drivers.Task) (mode string, err error) {
	err = m.bmcs.Do(ctx, t, "Get current boot mode", func(s *redfish.System) error {
		mode, err = currentMode(s)
		return err
	})
	return mode, err
}

// currentMode is BIOS on a machine that shows no settings, for those know nothing else.
func currentMode(s *redfish.System) (string, error) {
	f, err := readFirmware(s)
	var none *noFirmware
	switch {
	case errors.As(err, &none):
		return store.BootModeBIOS, nil
	case err != nil:
		return "", err
	}
	return f.mode(), nil
}

func (f *firmware) mode() string {
	setting, given := f.attributes[attributeBootMode].(string)
	if !given && f.uefiAlone {
		return store.BootModeUEFI
	}
	return modeOfSetting[setting]
}

// SetBootMode sets the mode for the next start, if it is another.
func (m *Management) SetBootMode(ctx context.Context, t *drivers.Task, mode string) error {
	return m.bmcs.Do(ctx, t, "Setting "+mode+" as boot mode", func(s *redfish.System) error {
		if !slices.Contains(supportedModes(s), mode) {
			return store.Errorf(store.InvalidParameterValue, "The given boot mode '%s' is not supported.", mode)
		}
		return setMode(s, mode)
	})
}

func supportedModes(s *redfish.System) []string {
	class := readExtension(s).Bios.UefiClass
	switch {
	case class != nil && *class == 2:
		return []string{store.BootModeUEFI, store.BootModeBIOS}
	case class != nil && *class == 3:
		return []string{store.BootModeUEFI}
	}
	return []string{store.BootModeBIOS}
}

func setMode(s *redfish.System, mode string) error {
	f, err := readFirmware(s)
	if err != nil {
		return err
	}
	next, err := f.next(s)
	if err != nil || next.mode() == mode {
		return err
	}
	if f.uefiAlone {
		return errors.New("the machine starts in UEFI mode alone")
	}
	settings := map[string]any{attributeBootMode: settingOfMode[mode]}
	if mode == store.BootModeUEFI {
		// The BIOS refuses UEFI without it.
		settings["UefiOptimizedBoot"] = "Enabled"
	}
	return f.set(s, settings)
}

// keyDeployBootMode holds the mode of a deployment in driver_internal_info.
const keyDeployBootMode = "deploy_boot_mode"

// syncBootMode sets the mode that is wanted, by the instance, the machine's properties or [ilo]default_boot_mode, for the next start;
// where nobody wants one, the mode that the next start will have is written down. Unlike drivers.SyncBootMode it goes by what
// the next start will have and not by what the last one had: a change that waits in the BIOS settings counts.
func (b *base) syncBootMode(ctx context.Context, t *drivers.Task) error {
	wanted, err := drivers.WantedBootMode(t.Node)
	if err != nil {
		return err
	}
	if wanted == "" && b.cfg.DefaultBootMode != "auto" {
		wanted = b.cfg.DefaultBootMode
		if err := recordMode(ctx, t, wanted); err != nil {
			return err
		}
	}
	if wanted != "" {
		return b.bmcs.Do(ctx, t, "Setting "+wanted+" as boot mode", func(s *redfish.System) error {
			err := setMode(s, wanted)
			var none *noFirmware
			if errors.As(err, &none) && wanted == store.BootModeBIOS {
				return nil
			}
			return err
		})
	}
	var mode string
	err = b.bmcs.Do(ctx, t, "Get pending boot mode", func(s *redfish.System) error {
		mode, err = pendingMode(s)
		if err == nil && mode == "" {
			// A machine that does not tell knows UEFI, so proliantutils's experience.
			mode, err = store.BootModeUEFI, setMode(s, store.BootModeUEFI)
		}
		return err
	})
	if err != nil {
		return err
	}
	return recordMode(ctx, t, mode)
}

func pendingMode(s *redfish.System) (string, error) {
	f, err := readFirmware(s)
	var none *noFirmware
	if errors.As(err, &none) {
		return store.BootModeBIOS, nil
	}
	if err != nil {
		return "", err
	}
	next, err := f.next(s)
	if err != nil {
		return "", err
	}
	return cmp.Or(next.mode(), f.mode()), nil
}

func recordMode(ctx context.Context, t *drivers.Task, mode string) error {
	if t.Node.DriverInternalInfo == nil {
		t.Node.DriverInternalInfo = store.Dict{}
	}
	t.Node.DriverInternalInfo[keyDeployBootMode] = mode
	return t.Worker.Save(ctx, t)
}
