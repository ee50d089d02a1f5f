package drivers

import (
	"cmp"
	"context"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// keyBootMode holds the boot mode of a deployment in driver_internal_info, and formerly in instance_info.
const keyBootMode = "deploy_boot_mode"

// SecureBootWanted reports whether an instance asks for secure boot.
func SecureBootWanted(n *store.Node) (bool, error) {
	capabilities, err := InstanceCapabilities(n)
	if err != nil {
		return false, err
	}
	return strings.EqualFold(capabilities.String("secure_boot"), "true"), nil
}

// WantedBootMode returns the boot mode that is asked for, bios or uefi, by the instance first and the machine's properties
// after it (reference/deploy.md §6); "" when nobody asks. A mode that contradicts the machine's properties is an error.
func WantedBootMode(n *store.Node) (string, error) {
	secure, err := SecureBootWanted(n)
	if err != nil {
		return "", err
	}
	if secure {
		return store.BootModeUEFI, nil
	}
	capabilities, err := InstanceCapabilities(n)
	if err != nil {
		return "", err
	}
	machine := strings.ToLower(Capability(n, "boot_mode"))
	mode := strings.ToLower(cmp.Or(capabilities.String("boot_mode"), n.InstanceInfo.String(keyBootMode), machine,
		n.DriverInternalInfo.String(keyBootMode)))
	if machine != "" && mode != machine {
		return "", store.Errorf(store.InvalidParameterValue, "Node %s boot mode %s violates node properties/capabilities %s",
			n.UUID, mode, machine)
	}
	return mode, nil
}

// BootMode returns the boot mode to deploy with: the one that is wanted, else fallback ([deploy]default_boot_mode).
func BootMode(n *store.Node, fallback string) (string, error) {
	mode, err := WantedBootMode(n)
	return cmp.Or(mode, fallback), err
}

// SyncBootMode makes the machine's boot mode and the one wanted agree: what is wanted is set; where nobody asks, the
// machine's own is recorded, or else fallback. A machine whose mode cannot be set is an error only when it is known to
// differ.
func SyncBootMode(ctx context.Context, t *Task, fallback string) error {
	actual, err := t.Hardware.Management.BootMode(ctx, t)
	if err != nil && store.KindOf(err) != store.UnsupportedDriverExtension {
		return err
	}
	wanted, err := WantedBootMode(t.Node)
	switch {
	case err != nil:
		return err
	case wanted == "" && actual != "":
		return recordBootMode(ctx, t, actual)
	case wanted == "":
		if err := recordBootMode(ctx, t, fallback); err != nil {
			return err
		}
		return setBootMode(ctx, t, fallback, false)
	case wanted != actual:
		return setBootMode(ctx, t, wanted, actual != "")
	}
	return nil
}

func recordBootMode(ctx context.Context, t *Task, mode string) error {
	if t.Node.DriverInternalInfo == nil {
		t.Node.DriverInternalInfo = store.Dict{}
	}
	t.Node.DriverInternalInfo[keyBootMode] = mode
	return t.Worker.Save(ctx, t)
}

func setBootMode(ctx context.Context, t *Task, mode string, differs bool) error {
	err := t.Hardware.Management.Validate(ctx, t)
	if err == nil {
		err = t.Hardware.Management.SetBootMode(ctx, t, mode)
	}
	switch kind := store.KindOf(err); {
	case err == nil:
		t.Log.Info().Str("boot_mode", mode).Msg("boot mode set")
		return readBootMode(ctx, t)
	case kind == store.UnsupportedDriverExtension && !differs:
		t.Log.Debug().Str("boot_mode", mode).Msg("the boot mode cannot be set; it is taken to be right already")
		return nil
	case kind == store.UnsupportedDriverExtension:
		return store.Errorf(kind, "Baremetal node %s boot mode is not set to boot mode %s: %w", t.Node.UUID, mode, err)
	case kind == store.InvalidParameterValue:
		return store.Errorf(kind, "Node %s boot mode is not set. Attempt to set %s boot mode on the baremetal node failed "+
			"with error %w", t.Node.UUID, mode, err)
	}
	return err
}

// readBootMode brings the columns boot_mode and secure_boot up to date. What cannot be read is left for power sync.
func readBootMode(ctx context.Context, t *Task) error {
	mode, err := t.Hardware.Management.BootMode(ctx, t)
	if err != nil && store.KindOf(err) != store.UnsupportedDriverExtension {
		t.Log.Warn().Err(err).Msg("the boot mode just set cannot be read")
		return nil
	}
	var secure *bool
	switch on, err := t.Hardware.Management.SecureBoot(ctx, t); {
	case err == nil:
		secure = &on
	case store.KindOf(err) != store.UnsupportedDriverExtension:
		t.Log.Warn().Err(err).Msg("secure boot cannot be read")
		return nil
	}
	t.Node.BootMode, t.Node.SecureBoot = mode, secure
	return t.Worker.Save(ctx, t)
}

// SetSecureBootIfWanted switches secure boot for an instance that asks for it: on before it starts, off when it is gone.
// Hardware that cannot do it is no error, as in ironic.
func SetSecureBootIfWanted(ctx context.Context, t *Task, on bool) error {
	wanted, err := SecureBootWanted(t.Node)
	if err != nil || !wanted {
		return err
	}
	switch err := t.Hardware.Management.SetSecureBoot(ctx, t, on); {
	case err == nil:
		return readBootMode(ctx, t)
	case store.KindOf(err) == store.UnsupportedDriverExtension:
		t.Log.Warn().Bool("on", on).Msg("secure boot was asked for and the management interface does not support it")
		return nil
	default:
		return err
	}
}
