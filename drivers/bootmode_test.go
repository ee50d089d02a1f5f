package drivers_test

import (
	"context"
	"testing"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// machine is a management interface with a boot mode; mode "" cannot be read, frozen cannot be set.
type machine struct {
	drivers.BareManagement
	mode   string
	frozen bool
	set    []string

	device     string
	persistent bool
}

func (*machine) Properties() map[string]string                 { return nil }
func (*machine) Validate(context.Context, *drivers.Task) error { return nil }
func (*machine) Steps(drivers.StepKind) []drivers.Step         { return nil }
func (*machine) SupportedBootDevices(context.Context, *drivers.Task) ([]string, error) {
	return nil, nil
}
func (*machine) BootDevice(context.Context, *drivers.Task) (drivers.BootDevice, error) {
	return drivers.BootDevice{}, nil
}
func (m *machine) SetBootDevice(_ context.Context, _ *drivers.Task, device string, persistent bool) error {
	m.device, m.persistent = device, persistent
	return nil
}
func (m *machine) BootMode(ctx context.Context, t *drivers.Task) (string, error) {
	if m.mode == "" {
		return m.BareManagement.BootMode(ctx, t)
	}
	return m.mode, nil
}
func (m *machine) SetBootMode(ctx context.Context, t *drivers.Task, mode string) error {
	if m.frozen {
		return m.BareManagement.SetBootMode(ctx, t, mode)
	}
	m.set, m.mode = append(m.set, mode), mode
	return nil
}

// saver is a worker that only saves.
type saver struct {
	drivers.Worker
	saves int
}

func (s *saver) Save(context.Context, *drivers.Task) error { s.saves++; return nil }

func taskWith(m *machine, n *store.Node) *drivers.Task {
	return &drivers.Task{Node: n, Worker: &saver{}, Log: zerolog.Nop(), Hardware: &drivers.Hardware{Management: m}}
}

func TestWantedBootMode(t *testing.T) {
	for name, c := range map[string]struct {
		node store.Node
		want string
		bad  bool
	}{
		"nobody":        {store.Node{}, "", false},
		"machine":       {store.Node{Properties: store.Dict{"capabilities": "a:b,boot_mode:BIOS"}}, "bios", false},
		"instance":      {store.Node{InstanceInfo: store.Dict{"capabilities": map[string]any{"boot_mode": "uefi"}}}, "uefi", false},
		"instance text": {store.Node{InstanceInfo: store.Dict{"capabilities": `{"boot_mode": "bios"}`}}, "bios", false},
		"secure boot": {store.Node{InstanceInfo: store.Dict{"capabilities": `{"secure_boot": "True"}`},
			Properties: store.Dict{"capabilities": "boot_mode:bios"}}, "uefi", false},
		"old key":  {store.Node{InstanceInfo: store.Dict{"deploy_boot_mode": "bios"}}, "bios", false},
		"recorded": {store.Node{DriverInternalInfo: store.Dict{"deploy_boot_mode": "uefi"}}, "uefi", false},
		"conflict": {store.Node{InstanceInfo: store.Dict{"deploy_boot_mode": "bios"},
			Properties: store.Dict{"capabilities": "boot_mode:uefi"}}, "", true},
		"not an object": {store.Node{InstanceInfo: store.Dict{"capabilities": 7}}, "", true},
		"not JSON":      {store.Node{InstanceInfo: store.Dict{"capabilities": "boot_mode:uefi"}}, "", true},
	} {
		got, err := drivers.WantedBootMode(&c.node)
		if got != c.want || (store.KindOf(err) == store.InvalidParameterValue) != c.bad {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if mode, err := drivers.BootMode(&store.Node{}, "uefi"); mode != "uefi" || err != nil {
		t.Errorf("fallback: %q, %v", mode, err)
	}
}

func TestSyncBootMode(t *testing.T) {
	wants := func(mode string) *store.Node {
		n := &store.Node{UUID: "u", Driver: "redfish", DriverInternalInfo: store.Dict{}}
		if mode != "" {
			n.Properties = store.Dict{"capabilities": "boot_mode:" + mode}
		}
		return n
	}
	for name, c := range map[string]struct {
		wanted   string
		machine  machine
		set      string
		recorded string
		bad      bool
	}{
		"agree":            {"uefi", machine{mode: "uefi"}, "", "", false},
		"differ":           {"uefi", machine{mode: "bios"}, "uefi", "", false},
		"differ, frozen":   {"uefi", machine{mode: "bios", frozen: true}, "", "", true},
		"unread":           {"bios", machine{}, "bios", "", false},
		"unread, frozen":   {"bios", machine{frozen: true}, "", "", false},
		"nobody, read":     {"", machine{mode: "bios"}, "", "bios", false},
		"nobody, unread":   {"", machine{}, "uefi", "uefi", false},
		"nothing possible": {"", machine{frozen: true}, "", "uefi", false},
	} {
		n := wants(c.wanted)
		err := drivers.SyncBootMode(t.Context(), taskWith(&c.machine, n), "uefi")
		if (err != nil) != c.bad {
			t.Errorf("%s: %v", name, err)
		}
		var set string
		if len(c.machine.set) == 1 {
			set = c.machine.set[0]
		}
		if set != c.set || n.DriverInternalInfo.String("deploy_boot_mode") != c.recorded {
			t.Errorf("%s: set %v, recorded %v", name, c.machine.set, n.DriverInternalInfo)
		}
		if set != "" && n.BootMode != set {
			t.Errorf("%s: column boot_mode %q", name, n.BootMode)
		}
	}
}

func TestSecureBootThatCannotBeSetIsNoError(t *testing.T) {
	n := &store.Node{UUID: "u", InstanceInfo: store.Dict{"capabilities": `{"secure_boot": "true"}`}}
	if err := drivers.SetSecureBootIfWanted(t.Context(), taskWith(&machine{}, n), true); err != nil {
		t.Error(err)
	}
}

func TestForcePersistentBootDevice(t *testing.T) {
	for _, c := range []struct {
		force       any
		asked, want bool
	}{
		{nil, false, false}, {nil, true, true}, {"Default", true, true}, {"Always", false, true}, {"Never", true, false},
		{"true", false, true}, {true, false, true}, {"False", true, true}, {"False", false, false},
	} {
		m := &machine{}
		n := &store.Node{DriverInfo: store.Dict{"force_persistent_boot_device": c.force}}
		if err := drivers.SetBootDevice(t.Context(), taskWith(m, n), "disk", c.asked); err != nil {
			t.Error(err)
		}
		if m.device != "disk" || m.persistent != c.want {
			t.Errorf("force %v, asked %v: %s, persistent %v", c.force, c.asked, m.device, m.persistent)
		}
	}
	m := &machine{}
	adopting := &store.Node{ProvisionState: store.Adopting}
	if err := drivers.SetBootDevice(t.Context(), taskWith(m, adopting), "disk", true); err != nil || m.device != "" {
		t.Errorf("adoption changed the boot device: %s, %v", m.device, err)
	}
}
