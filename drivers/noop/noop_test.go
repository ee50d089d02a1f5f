package noop_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/noop"
	"github.com/ironmaster/ironmaster/store"
)

func task(driver string) *drivers.Task {
	return &drivers.Task{Node: &store.Node{Driver: driver, UUID: "u"}}
}

// The texts are those of wire/21.4/validate_driver_interfaces--failing.json and set_target_raid_config--err-no-raid.json.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		impl drivers.Interface
		want string
	}{
		{noop.NewBIOS(), "Driver ipmi does not support bios (disabled or not implemented)."},
		{noop.NewConsole(), "Driver ipmi does not support console (disabled or not implemented)."},
		{noop.NewFirmware(), "Driver ipmi does not support firmware (disabled or not implemented)."},
		{noop.NewInspect(), "Driver ipmi does not support inspect (disabled or not implemented)."},
		{noop.NewRAID(), "Driver ipmi does not support raid (disabled or not implemented)."},
		{noop.NewRescue(), "Driver ipmi does not support rescue (disabled or not implemented)."},
		{noop.NewVendor(), "Driver ipmi does not support vendor (disabled or not implemented)."},
	} {
		err := c.impl.Validate(t.Context(), task("ipmi"))
		if err == nil || err.Error() != c.want || store.KindOf(err) != store.UnsupportedDriverExtension {
			t.Errorf("%T: got %v, want %s", c.impl, err, c.want)
		}
		if p := c.impl.Properties(); p == nil || len(p) != 0 {
			t.Errorf("%T: properties %v", c.impl, p)
		}
		for _, kind := range []drivers.StepKind{drivers.CleanStep, drivers.DeployStep, drivers.VerifyStep} {
			if steps := c.impl.Steps(kind); len(steps) != 0 {
				t.Errorf("%T offers %s steps %v", c.impl, kind, steps)
			}
		}
	}
}

func TestPermissiveInterfacesValidate(t *testing.T) {
	for _, impl := range []drivers.Interface{noop.NewNetwork(), noop.NewStorage(), noop.NewManagement()} {
		if err := impl.Validate(t.Context(), task("x")); err != nil {
			t.Errorf("%T: %v", impl, err)
		}
	}
}

func TestFlowsPassThroughNoop(t *testing.T) {
	if err := noop.NewBIOS().CacheSettings(t.Context(), task("x")); err != nil {
		t.Error("caching settings:", err)
	}
	if err := noop.NewRescue().CleanUp(t.Context(), task("x")); err != nil {
		t.Error("cleaning up a rescue:", err)
	}
	if writes, err := noop.NewStorage().ShouldWriteImage(t.Context(), task("x")); !writes || err != nil {
		t.Error("noop storage keeps the image from being written:", err)
	}
	n := noop.NewNetwork()
	err := errors.Join(n.AddCleaningNetwork(t.Context(), task("x")), n.RemoveCleaningNetwork(t.Context(), task("x")),
		n.AddProvisioningNetwork(t.Context(), task("x")), n.RemoveProvisioningNetwork(t.Context(), task("x")),
		n.ConfigureTenantNetworks(t.Context(), task("x")), n.UnconfigureTenantNetworks(t.Context(), task("x")),
		n.PortChanged(t.Context(), task("x"), &store.Port{}, &store.Port{}), n.VIFDetach(t.Context(), task("x"), "vif"),
		n.PortgroupChanged(t.Context(), task("x"), &store.Portgroup{}, &store.Portgroup{}),
		n.VIFAttach(t.Context(), task("x"), drivers.VIF{ID: "vif"}), n.ValidateRescue(t.Context(), task("x")), n.ValidateInspection(t.Context(), task("x")))
	if err != nil {
		t.Error("noop network:", err)
	}
}

func TestManagement(t *testing.T) {
	m := noop.NewManagement()
	devices, err := m.SupportedBootDevices(t.Context(), task("x"))
	if err != nil || !slices.Equal(devices, []string{"pxe", "disk"}) {
		t.Errorf("supported devices: %v, %v", devices, err)
	}
	device, err := m.BootDevice(t.Context(), task("x"))
	if err != nil || device.Device != "pxe" || device.Persistent == nil || !*device.Persistent {
		t.Errorf("boot device: %+v, %v", device, err)
	}
	if err := m.SetBootDevice(t.Context(), task("x"), "disk", true); err != nil {
		t.Errorf("setting disk: %v", err)
	}
	err = m.SetBootDevice(t.Context(), task("x"), "cdrom", false)
	want := "Invalid boot device cdrom specified, supported are pxe, disk."
	if store.KindOf(err) != store.InvalidParameterValue || err.Error() != want {
		t.Errorf("setting cdrom: %v, want %s", err, want)
	}
}

// The extension's names are those of wire/21.4/inject_nmi--err-unsupported.json, change_node_boot_mode--unsupported.json,
// change_node_secure_boot--unsupported.json and set_indicator_state--err-unsupported.json.
func TestOptionalManagementIsRefused(t *testing.T) {
	m, ctx, x := noop.NewManagement(), t.Context(), task("fake-hardware")
	calls := map[string]func() error{
		"inject_nmi":               func() error { return m.InjectNMI(ctx, x) },
		"get_boot_mode":            func() error { _, err := m.BootMode(ctx, x); return err },
		"set_boot_mode":            func() error { return m.SetBootMode(ctx, x, "uefi") },
		"get_secure_boot_state":    func() error { _, err := m.SecureBoot(ctx, x); return err },
		"set_secure_boot_state":    func() error { return m.SetSecureBoot(ctx, x, true) },
		"get_supported_indicators": func() error { _, err := m.SupportedIndicators(ctx, x, ""); return err },
		"get_indicator_state":      func() error { _, err := m.IndicatorState(ctx, x, "system", "led"); return err },
		"set_indicator_state":      func() error { return m.SetIndicatorState(ctx, x, "system", "led", "on") },
		"detect_vendor":            func() error { _, err := m.DetectVendor(ctx, x); return err },
	}
	for extension, call := range calls {
		want := "Driver fake-hardware does not support " + extension + " (disabled or not implemented)."
		if err := call(); store.KindOf(err) != store.UnsupportedDriverExtension || err.Error() != want {
			t.Errorf("%s: %v, want %s", extension, err, want)
		}
	}
}
