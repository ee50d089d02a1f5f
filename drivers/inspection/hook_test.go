package inspection

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// memoryStore keeps ports and an inventory in memory.
type memoryStore struct {
	ports     []*store.Port
	taken     string // an address that a port of another node has
	inventory store.Dict
	last      *store.NodeInventory
	saves     int
}

func (m *memoryStore) CreatePort(_ context.Context, p *store.Port) error {
	if p.Address == m.taken || slices.ContainsFunc(m.ports, func(o *store.Port) bool { return o.Address == p.Address }) {
		return store.Errorf(store.MACAlreadyExists, "A port with MAC address %s already exists.", p.Address)
	}
	p.ID = int64(len(m.ports) + 1)
	m.ports = append(m.ports, p)
	return nil
}

func (m *memoryStore) SavePort(context.Context, *drivers.Task, *store.Port) error { return nil }

func (m *memoryStore) DestroyPort(_ context.Context, p *store.Port) error {
	m.ports = slices.DeleteFunc(m.ports, func(o *store.Port) bool { return o == p })
	return nil
}

func (m *memoryStore) SaveInventory(_ context.Context, _ int64, inventory, _ store.Dict) error {
	m.inventory = inventory
	return nil
}

func (m *memoryStore) LastInventory(context.Context, int64) (*store.NodeInventory, error) {
	return m.last, nil
}

// described lists the ports: address, pxe_enabled and client id.
func (m *memoryStore) described() []string {
	var out []string
	for _, p := range m.ports {
		text := p.Address
		if p.PXEEnabled == nil || *p.PXEEnabled {
			text += " pxe"
		}
		if id := p.Extra.String("client-id"); id != "" {
			text += " " + id
		}
		out = append(out, text)
	}
	return out
}

func (m *memoryStore) Save(context.Context, *drivers.Task) error {
	m.saves++
	return nil
}

func (m *memoryStore) Ports(context.Context, *drivers.Task) ([]*store.Port, error) {
	return slices.Clone(m.ports), nil
}
func (*memoryStore) Portgroups(context.Context, *drivers.Task) ([]*store.Portgroup, error) {
	return nil, nil
}
func (*memoryStore) SavePortgroup(context.Context, *drivers.Task, *store.Portgroup) error { return nil }
func (*memoryStore) CreatePortgroup(context.Context, *drivers.Task, *store.Portgroup) error {
	return nil
}
func (*memoryStore) DestroyPortgroup(context.Context, *drivers.Task, *store.Portgroup) error {
	return nil
}
func (*memoryStore) VolumeConnectors(context.Context, *drivers.Task) ([]*store.VolumeConnector, error) {
	return nil, nil
}
func (*memoryStore) VolumeTargets(context.Context, *drivers.Task) ([]*store.VolumeTarget, error) {
	return nil, nil
}
func (*memoryStore) SaveVolumeTarget(context.Context, *drivers.Task, *store.VolumeTarget) error {
	return nil
}
func (*memoryStore) DestroyVolumeTarget(context.Context, *drivers.Task, *store.VolumeTarget) error {
	return nil
}
func (*memoryStore) SetPower(context.Context, *drivers.Task, string) error { return nil }
func (*memoryStore) Report(*drivers.Task, drivers.Progress)                {}
func (*memoryStore) Journal(*drivers.Task) drivers.Journal                 { return nil }

func newTask(m *memoryStore) *drivers.Task {
	return &drivers.Task{Node: &store.Node{ID: 7, UUID: "n"}, Worker: m}
}

func parsed(t *testing.T, text string) store.Dict {
	t.Helper()
	d, err := store.ParseDict([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

const twoCards = `{"interfaces": [
	{"name": "lo", "mac_address": "00:00:00:00:00:00", "ipv4_address": "127.0.0.1"},
	{"name": "eno1", "mac_address": "52:54:00:AA:00:01", "ipv4_address": "192.0.2.5", "client_id": "ff:01"},
	{"name": "eno2", "mac_address": "52:54:00:aa:00:02", "ipv6_address": "fd00::1%eno2"},
	{"name": "eno3", "mac_address": "52:54:00:aa:00:03"},
	{"name": "ib0", "mac_address": "not an address"}, {"mac_address": "52:54:00:aa:00:09"}],
	"boot": {"pxe_interface": "01-52-54-00-aa-00-01"}, "cpu": {"architecture": "x86_64", "flags": ["vmx", "aes", "fpu"]},
	"memory": {"physical_mb": 4096}}`

func TestPortsFollowWhatWasFound(t *testing.T) {
	for _, c := range []struct {
		name      string
		add, keep string
		inventory string
		want      []string
	}{
		{name: "the card that booted", add: AddPXE, keep: KeepAll, want: []string{"52:54:00:bb:00:01", "52:54:00:aa:00:01 pxe ff:01"}},
		{name: "cards with an address", add: AddActive, keep: KeepAll, want: []string{"52:54:00:bb:00:01", "52:54:00:aa:00:01 pxe ff:01",
			"52:54:00:aa:00:02"}},
		{name: "all cards", add: AddAll, keep: KeepAll, want: []string{"52:54:00:bb:00:01", "52:54:00:aa:00:01 pxe ff:01",
			"52:54:00:aa:00:02", "52:54:00:aa:00:03"}},
		{name: "none", add: AddDisabled, keep: KeepAll, want: []string{"52:54:00:bb:00:01"}},
		{name: "only of cards that are there", add: AddPXE, keep: KeepPresent, want: []string{"52:54:00:aa:00:01 pxe ff:01"}},
		{name: "only those added", add: AddActive, keep: KeepAdded, want: []string{"52:54:00:aa:00:01 pxe ff:01", "52:54:00:aa:00:02"}},
		{name: "nobody knows what booted", add: AddPXE, keep: KeepPresent, inventory: strings.Replace(twoCards, "pxe_interface", "x", 1),
			want: []string{"52:54:00:aa:00:01 ff:01", "52:54:00:aa:00:02", "52:54:00:aa:00:03"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := DefaultConfig()
			cfg.AddPorts, cfg.KeepPorts = c.add, c.keep
			m := &memoryStore{ports: []*store.Port{{ID: 1, Address: "52:54:00:bb:00:01", PXEEnabled: new(true)}}}
			h, err := NewHooks("ramdisk-error,validate-interfaces,ports,architecture", cfg, m)
			if err != nil {
				t.Fatal(err)
			}
			task, inventory := newTask(m), c.inventory
			if inventory == "" {
				inventory = twoCards
			}
			plugin := store.Dict{}
			for range 2 { // what was cut short is done again
				if err := h.Run(t.Context(), task, parsed(t, inventory), plugin); err != nil {
					t.Fatal(err)
				}
			}
			if got := m.described(); !slices.Equal(got, c.want) {
				t.Errorf("ports %q, want %q", got, c.want)
			}
			if arch := task.Node.Properties.String("cpu_arch"); arch != "x86_64" {
				t.Errorf("cpu_arch %q", arch)
			}
			if _, err := store.AppendJSON(nil, plugin); err != nil {
				t.Errorf("the plugin data can't be stored: %v", err)
			}
		})
	}
}

// Cards of a bond share an address. The port is made for the first, and since 33.0 tells of the last.
func TestCardsThatShareAnAddress(t *testing.T) {
	const bonded = `{"interfaces": [{"name": "b", "mac_address": "52:54:00:aa:00:01", "client_id": "1"},
		{"name": "c", "mac_address": "52:54:00:aa:00:01", "client_id": "2"}, {"name": "a", "mac_address": "52:54:00:aa:00:01", "client_id": "3"},
		{"name": "d", "mac_address": "52:54:00:aa:00:02", "client_id": "4"}, {"name": "0", "mac_address": "52:54:00:aa:00:02"}]}`
	for later, want := range map[bool][]string{
		false: {"52:54:00:aa:00:01 1", "52:54:00:aa:00:02 4"},
		true:  {"52:54:00:aa:00:01 3", "52:54:00:aa:00:02 4"},
	} {
		for range 20 { // as often as the order of a map takes to differ
			m, cfg := &memoryStore{}, DefaultConfig()
			cfg.Differences.ClientIDs = later
			h, err := NewHooks("validate-interfaces,ports", cfg, m)
			if err != nil {
				t.Fatal(err)
			}
			if err := h.Run(t.Context(), newTask(m), parsed(t, bonded), store.Dict{}); err != nil {
				t.Fatal(err)
			}
			if got := m.described(); !slices.Equal(got, want) {
				t.Fatalf("ports %q, want %q", got, want)
			}
		}
	}
}

func TestFindingsThatHooksRefuse(t *testing.T) {
	const start = "Failed to inspect hardware. Reason: The following failures happened while running preprocess hooks for node n:\n"
	for _, c := range []struct{ name, inventory, plugin, want string }{
		{"the ramdisk failed", twoCards, `{"error": "no disk"}`, start + "Error in preprocess hook ramdisk-error: Failed to inspect " +
			"hardware. Reason: Ramdisk reported error: no disk"},
		{"no interfaces", `{}`, `{}`, start + "Unexpected exception InvalidNodeInventory during preprocess hook validate-interfaces: " +
			"Inventory for node n is invalid: no interfaces present in inventory"},
		{"no valid interface", `{"interfaces": [7, {"name": "a"}]}`, `{}`, start + "Unexpected exception InvalidNodeInventory during " +
			"preprocess hook validate-interfaces: Inventory for node n is invalid: no valid network interfaces"},
		{"none that counts", `{"interfaces": [{"name": "lo", "mac_address": "52:54:00:aa:00:01"}]}`, `{}`, start + "Unexpected " +
			"exception InvalidNodeInventory during preprocess hook validate-interfaces: Inventory for node n is invalid: no network " +
			`interfaces match the configuration (add_ports set to "pxe")`},
		{"two failures", `{}`, `{"error": "x"}`, start + "Error in preprocess hook ramdisk-error: Failed to inspect hardware. Reason: " +
			"Ramdisk reported error: x\nUnexpected exception InvalidNodeInventory during preprocess hook validate-interfaces: Inventory " +
			"for node n is invalid: no interfaces present in inventory"},
		{"no architecture", `{"interfaces": [{"name": "e", "mac_address": "52:54:00:aa:00:01"}]}`, `{}`, "Failed to inspect hardware. " +
			"Reason: Unexpected exception InvalidNodeInventory during processing for node: n. Error: Inventory for node n is invalid: " +
			"Inventory has malformed or missing CPU architecture information: None for node n."},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &memoryStore{}
			h, err := NewHooks("ramdisk-error,validate-interfaces,ports,architecture", DefaultConfig(), m)
			if err != nil {
				t.Fatal(err)
			}
			err = h.Run(t.Context(), newTask(m), parsed(t, c.inventory), parsed(t, c.plugin))
			if store.KindOf(err) != store.HardwareInspectionFailure || err.Error() != c.want {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
			if strings.HasPrefix(c.want, start) && len(m.ports) != 0 {
				t.Errorf("ports were made of findings that were refused: %q", m.described())
			}
		})
	}
}

func TestHooksStopWhenTheNodeIsLost(t *testing.T) {
	m := &losing{}
	h, err := NewHooks("architecture", DefaultConfig(), m)
	if err != nil {
		t.Fatal(err)
	}
	task := newTask(&m.memoryStore)
	task.Worker = m
	if err := h.Run(t.Context(), task, parsed(t, twoCards), store.Dict{}); !errors.Is(err, store.ErrLockLost) ||
		store.KindOf(err) == store.HardwareInspectionFailure {
		t.Errorf("got %v", err)
	}
}

type losing struct{ memoryStore }

func (*losing) Save(context.Context, *drivers.Task) error { return store.ErrLockLost }

func TestOptionalHooks(t *testing.T) {
	cfg := DefaultConfig()
	cfg.PCIAliases = []PCIAlias{{"1234", "5678", "gpu"}, {"1234", "9999", "absent"}}
	m := &memoryStore{}
	h, err := NewHooks(" memory, boot-mode,cpu-capabilities,,pci-devices", cfg, m)
	if err != nil {
		t.Fatal(err)
	}
	task := newTask(m)
	task.Node.Properties = store.Dict{"capabilities": "rack:7,boot_mode:bios", "keep": "me"}
	inventory := parsed(t, strings.Replace(twoCards, `"boot": {`, `"boot": {"current_boot_mode": "uefi", `, 1))
	plugin := parsed(t, `{"pci_devices": [{"vendor_id": "1234", "product_id": "5678"}, {"vendor_id": "1234", "product_id": "5678"}]}`)
	if err := h.Run(t.Context(), task, inventory, plugin); err != nil {
		t.Fatal(err)
	}
	want := "rack:7,boot_mode:uefi,cpu_vt:true,cpu_aes:true,gpu:2"
	if got := task.Node.Properties.String("capabilities"); got != want {
		t.Errorf("capabilities %q, want %q", got, want)
	}
	if got := task.Node.Properties["memory_mb"]; got != json.Number("4096") || task.Node.Properties.String("keep") != "me" {
		t.Errorf("properties %v", task.Node.Properties)
	}
}

func TestListsOfHooks(t *testing.T) {
	for list, want := range map[string]string{
		"":                          "",
		"ports":                     "some hooks failed to load due to dependency problems: Hook ports requires these missing hooks to be enabled before it: validate-interfaces",
		"ports,validate-interfaces": "some hooks failed to load due to dependency problems: Hook ports requires these missing hooks to be enabled before it: validate-interfaces",
		"dance,ramdisk-error,sing":  "the following hook(s) are missing or failed to load: dance, sing",
	} {
		got := ""
		if _, err := NewHooks(list, DefaultConfig(), &memoryStore{}); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", list, got, want)
		}
	}
}

// Whatever a ramdisk sends, the hooks end, and what they hand on can be stored.
func FuzzFindings(f *testing.F) {
	f.Add([]byte(twoCards), []byte(`{}`))
	f.Add([]byte(`{"interfaces": [[]], "boot": []}`), []byte(`{"error": {}}`))
	f.Add([]byte(`{"interfaces": {"a": 1}, "cpu": 7}`), []byte(`{"pci_devices": "x"}`))
	f.Add([]byte(`{"interfaces": [{"name": "e", "mac_address": "52:54:00:aa:00:01", "lldp": [[1, "04aa"], [2], 7]}], "cpu": {"count": 1,
		"architecture": "a"}, "memory": {"physical_mb": 1}, "disks": [{"name": [], "size": 1e30}, {"name": "b", "serial": 5}]}`),
		[]byte(`{"data": [["a", "b", "c", " 7"], [[], 1], [null, true, 3.5, "x"]], "lldp_raw": {"e": [[127, "0080c20300650576"]]},
		"pci_devices": [{"vendor_id": "10de", "product_id": "1eb8", "bus": {}}], "root_disk": {"size": {}}}`))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		inventory, err := store.ParseDict(first)
		if err != nil {
			return
		}
		plugin, err := store.ParseDict(second)
		if err != nil || plugin == nil {
			return
		}
		cfg := DefaultConfig()
		cfg.KeepPorts, cfg.PCIAliases, cfg.Differences = KeepPresent, []PCIAlias{{"1", "2", "a"}}, Differences{CPUs: true, SwitchInfo: true}
		cfg.Accelerators = KnownAccelerators(true)
		m := &memoryStore{last: &store.NodeInventory{InventoryData: store.Dict{}}}
		h, err := NewHooks("ramdisk-error,validate-interfaces,ports,architecture,memory,boot-mode,cpu-capabilities,pci-devices,"+
			"accelerators,extra-hardware,parse-lldp,local-link-connection,physical-network,raid-device,root-device,cpus", cfg, m)
		if err != nil {
			t.Fatal(err)
		}
		task := newTask(m)
		task.Node.Properties = store.Dict{"root_device": store.Dict{"size": ">= 1"}, "skip_block_devices": []any{store.Dict{"name": "a"}}}
		if err := h.Run(t.Context(), task, inventory, plugin); err != nil && store.KindOf(err) != store.HardwareInspectionFailure {
			t.Errorf("unexpected failure %v", err)
		}
		for _, p := range m.ports {
			if _, ok := NormalMAC(p.Address); !ok {
				t.Errorf("a port has the address %q", p.Address)
			}
		}
		if _, err := store.AppendJSON(nil, plugin); err != nil {
			t.Errorf("the plugin data can't be stored: %v", err)
		}
	})
}
