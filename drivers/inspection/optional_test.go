package inspection

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

// jsonOf is a value as it is stored.
func jsonOf(t *testing.T, v any) string {
	t.Helper()
	text, err := store.AppendJSON(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// asToday are the differences of the newest release.
var asToday = Differences{CPUs: true, SwitchInfo: true, AcceleratorsGo: true, MostLLDPCards: 64}

const cable = `[[1, "04885a92ec5459"], [2, "0545746865726e6574312f3138"], [5, "737730312d646973742d31622d623132"]]`

func TestWhatHooksMakeOfFindings(t *testing.T) {
	for _, c := range []struct {
		name, hook, inventory, plugin, properties string
		differ                                    Differences
		change                                    func(*Config)
		last                                      string
		wantProperties, wantPlugin                string
	}{
		{name: "accelerators", hook: "accelerators", plugin: `{"pci_devices": [{"vendor_id": "10de", "product_id": "1eb8", "bus": "0000:00:02.0"},
			{"vendor_id": "8086", "product_id": "1"}]}`, wantProperties: `{"accelerators": [{"device_id": "1eb8", "device_info": ` +
			`"NVIDIA Corporation Tesla T4", "pci_address": "0000:00:02.0", "type": "GPU", "vendor_id": "10de"}]}`},
		{name: "accelerators of a BMC", hook: "accelerators", inventory: `{"pci_devices": [{"vendor_id": "10de", "product_id": "26ba", "bus": "1"}]}`,
			differ: asToday, wantProperties: `{"accelerators": [{"device_id": "26ba", "device_info": "NVIDIA Corporation L20", ` +
				`"pci_address": "1", "type": "GPU", "vendor_id": "10de"}]}`},
		{name: "accelerators that are gone", hook: "accelerators", plugin: `{"pci_devices": [{"vendor_id": "1", "product_id": "2"}]}`,
			properties: `{"accelerators": [1]}`, differ: asToday, wantProperties: `{"accelerators": []}`},
		{name: "accelerators that are gone, before", hook: "accelerators", plugin: `{"pci_devices": [{"vendor_id": "1", "product_id": "2"}]}`,
			properties: `{"accelerators": [1]}`, wantProperties: `{"accelerators": [1]}`},
		{name: "no PCI devices", hook: "accelerators", properties: `{"accelerators": [1]}`, differ: asToday, wantProperties: `{"accelerators": [1]}`},
		{name: "extra hardware", hook: "extra-hardware", plugin: `{"data": [["cpu", "logical", "number", "4"], ["cpu", "logical", "mhz", 2.9],
			[], ["disk", "sda", "size", " 10x"], ["disk", "sda"], [["a"], "b", "c", 1], ["disk", 7, null, true]], "keep": 1}`,
			wantPlugin: `{"extra": {"cpu": {"logical": {"mhz": 2, "number": 4}}, "disk": {"7": {"null": 1}, "sda": {"size": " 10x"}}}, "keep": 1}`},
		{name: "extra hardware with numbers that are large", hook: "extra-hardware", plugin: `{"data": [["a", "b", "c", 1e600000000],
			["a", "b", "d", 1e3], ["a", "b", "e", 123456789012345678901234567890]]}`,
			wantPlugin: `{"extra": {"a": {"b": {"c": 1e600000000, "d": 1000, "e": 123456789012345678901234567890}}}}`},
		{name: "extra hardware, strict", hook: "extra-hardware", plugin: `{"data": [["cpu", "logical", "number"]], "keep": 1}`,
			change: func(c *Config) { c.ExtraHardwareStrict = true }, wantPlugin: `{"keep": 1}`},
		{name: "extra hardware that is none", hook: "extra-hardware", plugin: `{"data": [7]}`, wantPlugin: `{"data": [7]}`},
		{name: "no extra hardware", hook: "extra-hardware", plugin: `{"keep": 1}`, wantPlugin: `{"keep": 1}`},
		{name: "LLDP", hook: "parse-lldp", inventory: `{"interfaces": [{"name": "eno1"}, {"name": "eno2", "lldp": [[4, "65"], [4, "zz"], 9]},
			{"name": "eno3"}, {"name": "eno4", "lldp": []}]}`, plugin: `{"lldp_raw": {"eno1": ` + cable + `}}`,
			wantPlugin: `{"lldp_raw": {"eno1": ` + cable + `}, "parsed_lldp": {"eno1": {"switch_chassis_id": "88:5a:92:ec:54:59", ` +
				`"switch_port_id": "Ethernet1/18", "switch_system_name": "sw01-dist-1b-b12"}, "eno2": {"switch_port_description": "e"}}}`},
		{name: "LLDP of many cards", hook: "parse-lldp", differ: Differences{MostLLDPCards: 1},
			inventory:  `{"interfaces": [{"name": "a", "lldp": [[4, "65"]]}, {"name": "b", "lldp": [[4, "66"]]}]}`,
			wantPlugin: `{"parsed_lldp": {"a": {"switch_port_description": "e"}}}`},
		{name: "a disk that is new", hook: "raid-device", inventory: `{"disks": [{"serial": "a"}, {"serial": "b"}, {"name": "c"}]}`,
			last: `{"disks": [{"serial": "a"}]}`, wantProperties: `{"root_device": {"serial": "b"}}`},
		{name: "two disks that are new", hook: "raid-device", inventory: `{"disks": [{"serial": "a"}, {"serial": "b"}]}`, last: `{"disks": []}`},
		{name: "the first inspection", hook: "raid-device", inventory: `{"disks": [{"serial": "a"}]}`},
		{name: "a root device that is known", hook: "raid-device", inventory: `{"disks": [{"serial": "b"}]}`, last: `{"disks": []}`,
			properties: `{"root_device": {"serial": "x"}}`, wantProperties: `{"root_device": {"serial": "x"}}`},
		{name: "the ramdisk's root disk", hook: "root-device", plugin: `{"root_disk": {"size": 10737418241}}`, differ: asToday,
			wantProperties: `{"local_gb": 9}`, wantPlugin: `{"local_gb": 9, "root_disk": {"size": 10737418241}}`},
		{name: "the ramdisk's root disk, as a text", hook: "root-device", plugin: `{"root_disk": {"size": 10737418241}}`,
			differ: Differences{LocalGBText: true}, change: func(c *Config) { c.PartitioningSpacing = false },
			wantProperties: `{"local_gb": "10"}`, wantPlugin: `{"local_gb": 10, "root_disk": {"size": 10737418241}}`},
		{name: "a small disk", hook: "root-device", plugin: `{"root_disk": {"size": 5}}`, wantProperties: `{"local_gb": 0}`,
			wantPlugin: `{"local_gb": 0, "root_disk": {"size": 5}}`},
		{name: "no disk", hook: "root-device", wantProperties: `{"local_gb": 0}`, wantPlugin: `{"local_gb": 0}`},
		{name: "a disk by hints", hook: "root-device", properties: `{"root_device": {"size": ">= 2"}, "skip_block_devices": [{"name": "b"}]}`,
			inventory:      `{"disks": [{"name": "a", "size": 1}, {"name": "b", "size": 4294967296}, {"name": "c", "size": 3221225472}]}`,
			wantProperties: `{"local_gb": 2, "root_device": {"size": ">= 2"}, "skip_block_devices": [{"name": "b"}]}`,
			wantPlugin:     `{"local_gb": 2, "root_disk": {"name": "c", "size": 3221225472}}`},
		{name: "CPUs", hook: "cpus", inventory: `{"cpu": {"count": "8"}}`, differ: asToday, wantProperties: `{"cpus": 8}`},
		{name: "capabilities of a CPU", hook: "cpu-capabilities", inventory: `{"cpu": {"flags": ["aes", "smx", "svm", "vmx", "pse"]}}`,
			properties: `{"capabilities": "a:1,cpu_aes:false,b:x:y,a:2"}`, wantProperties: `{"capabilities": "a:2,cpu_aes:true,b:x:y,` +
				`cpu_vt:true,cpu_hugepages:true,cpu_txt:true"}`},
		{name: "capabilities of a CPU in an operator's order", hook: "cpu-capabilities", inventory: `{"cpu": {"flags": ["a", "b", "c"]}}`,
			change:         func(c *Config) { c.CPUCapabilities = []CPUCapability{{"c", "x"}, {"a", "z"}, {"b", "y"}, {"d", "w"}} },
			wantProperties: `{"capabilities": "x:true,z:true,y:true"}`},
		{name: "PCI devices in the order found", hook: "pci-devices", plugin: `{"pci_devices": [{"vendor_id": "1", "product_id": "z"},
			{"vendor_id": "2", "product_id": "1"}, {"vendor_id": "1", "product_id": "a"}, {"vendor_id": "1", "product_id": "z"},
			{"vendor_id": 1, "product_id": "a"}, {"vendor_id": "1", "product_id": "b"}]}`,
			change: func(c *Config) {
				c.PCIAliases = []PCIAlias{{"1", "a", "early"}, {"1", "b", "late"}, {"1", "z", "renamed"}, {"1", "z", "late"}}
			}, wantProperties: `{"capabilities": "late:1,early:1"}`},
		{name: "a boot mode that is a number", hook: "boot-mode", inventory: `{"boot": {"current_boot_mode": 7}}`,
			wantProperties: `{"capabilities": "boot_mode:7"}`},
		{name: "no CPUs", hook: "cpus", inventory: `{"cpu": {"count": 0}}`, differ: asToday},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := DefaultConfig()
			cfg.Differences, cfg.Accelerators = c.differ, KnownAccelerators(c.differ.AcceleratorsGo)
			if c.change != nil {
				c.change(&cfg)
			}
			m := &memoryStore{}
			if c.last != "" {
				m.last = &store.NodeInventory{InventoryData: parsed(t, c.last)}
			}
			h, err := NewHooks(c.hook, cfg, m)
			if err != nil {
				t.Fatal(err)
			}
			task, plugin := newTask(m), parsed(t, c.plugin)
			task.Node.Properties = parsed(t, c.properties)
			if err := h.Run(t.Context(), task, parsed(t, c.inventory), plugin); err != nil {
				t.Fatal(err)
			}
			if got, want := jsonOf(t, task.Node.Properties), jsonOf(t, parsed(t, c.wantProperties)); got != want {
				t.Errorf("properties %s, want %s", got, want)
			}
			if c.wantPlugin != "" {
				if got := jsonOf(t, plugin); got != jsonOf(t, parsed(t, c.wantPlugin)) {
					t.Errorf("plugin data %s, want %s", got, c.wantPlugin)
				}
			}
		})
	}
}

func TestWhatFurtherHooksRefuse(t *testing.T) {
	const unexpected = "Failed to inspect hardware. Reason: Unexpected exception "
	for _, c := range []struct{ hook, inventory, plugin, properties, want string }{
		{"accelerators", `{}`, `{"pci_devices": [{"product_id": "1"}]}`, `{}`, unexpected + "KeyError during processing for node: n. Error: 'vendor_id'"},
		{"accelerators", `{}`, `{"pci_devices": [{"vendor_id": "10de", "product_id": "1eb8"}]}`, `{}`, unexpected + "KeyError during processing for node: n. Error: 'bus'"},
		{"parse-lldp", `{"interfaces": [{"mac_address": "x"}]}`, `{}`, `{}`, unexpected + "KeyError during processing for node: n. Error: 'name'"},
		{"root-device", `{}`, `{}`, `{"root_device": {"size": 5}}`, unexpected + "KeyError during processing for node: n. Error: 'disks'"},
		{"root-device", `{}`, `{"root_disk": {"name": "a"}}`, `{}`, unexpected + "KeyError during processing for node: n. Error: 'size'"},
		{"root-device", `{}`, `{"root_disk": {"size": "a"}}`, `{}`, unexpected + `TypeError during processing for node: n. Error: the size of the root disk is no number of bytes: a`},
		{"boot-mode", `{"boot": {"current_boot_mode": "uefi"}}`, `{}`, `{"capabilities": "a:1,b"}`, unexpected +
			"ValueError during processing for node: n. Error: Invalid capabilities string 'a:1,b'."},
		{"boot-mode", `{"boot": {"current_boot_mode": "uefi"}}`, `{}`, `{"capabilities": [1]}`, unexpected +
			"TypeError during processing for node: n. Error: the node's capabilities are no text: [1]"},
		{"pci-devices", `{}`, `{"pci_devices": [{"vendor_id": "1"}]}`, `{}`, unexpected + "KeyError during processing for node: n. Error: 'product_id'"},
		{"memory", `{"memory": {"total": null}}`, `{}`, `{}`, unexpected + "InvalidNodeInventory during processing for node: n. Error: Inventory for " +
			"node n is invalid: Inventory has missing memory information: {'total': None} for node n."},
		{"root-device", `{"disks": []}`, `{}`, `{"root_device": {"size": 5}}`, "No disks satisfied root device hints for node n"},
		{"root-device", `{"disks": []}`, `{}`, `{"root_device": {"rotational": "x"}}`, "No disks could be found using root device hints " +
			"{'rotational': 'x'} for node n because they failed to validate. Error: Root device hint \"rotational\" is not a Boolean value. Current value: x"},
	} {
		cfg := DefaultConfig()
		cfg.Accelerators = KnownAccelerators(true)
		m := &memoryStore{}
		h, err := NewHooks(c.hook, cfg, m)
		if err != nil {
			t.Fatal(err)
		}
		task := newTask(m)
		task.Node.Properties = parsed(t, c.properties)
		err = h.Run(t.Context(), task, parsed(t, c.inventory), parsed(t, c.plugin))
		if store.KindOf(err) != store.HardwareInspectionFailure || err.Error() != c.want || m.saves > 0 {
			t.Errorf("%s of %s %s: %v, saved %d times\nwant %s", c.hook, c.inventory, c.plugin, err, m.saves, c.want)
		}
	}
}

func TestWherePortsAreConnected(t *testing.T) {
	const inventory = `{"interfaces": [{"name": "eno1", "mac_address": "52:54:00:AA:00:01", "ipv4_address": "192.0.2.5", "lldp": ` + cable + `},
		{"name": "eno2", "mac_address": "52:54:00:aa:00:02", "ipv6_address": "2001:db8::7%eno2", "lldp": [[1, "04885a"]]},
		{"name": "eno3", "mac_address": "52:54:00:aa:00:03", "ipv4_address": "203.0.113.1", "lldp": [[1, "0561"], [2, "05"]]},
		{"name": "eno4", "mac_address": "52:54:00:aa:00:04", "ipv4_address": "x", "lldp": [[1, "zz"], [2, "0541"]]}]}`
	for _, c := range []struct {
		hook   string
		differ Differences
		want   string
	}{
		{"local-link-connection", asToday, `1 {"port_id": "mine", "switch_id": "88:5a:92:ec:54:59", "switch_info": "sw01-dist-1b-b12"} -, 2 {} -, ` +
			`3 {"port_id": ""} -, 4 {} -`},
		{"local-link-connection", Differences{}, `1 {"port_id": "mine", "switch_id": "88:5a:92:ec:54:59"} -, 2 {} -, 3 {"port_id": ""} -, 4 {} -`},
		{"physical-network", Differences{}, `1 {"port_id": "mine"} first, 2 {} second, 3 {} -, 4 {} -`},
	} {
		cfg := DefaultConfig()
		cfg.AddPorts, cfg.Differences = AddDisabled, c.differ
		cfg.PhysicalNetworks = []PhysicalNetwork{{netip.MustParsePrefix("192.0.2.0/24"), "first"}, {netip.MustParsePrefix("2001:db8::/64"), "second"},
			{netip.MustParsePrefix("192.0.0.0/16"), "third"}}
		m := &memoryStore{}
		for _, last := range []string{"1", "2", "3", "4"} {
			m.ports = append(m.ports, &store.Port{UUID: last, Address: "52:54:00:aa:00:0" + last})
		}
		m.ports[0].LocalLinkConnection = store.Dict{"port_id": "mine"}
		h, err := NewHooks("validate-interfaces,"+c.hook, cfg, m)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Run(t.Context(), newTask(m), parsed(t, inventory), store.Dict{}); err != nil {
			t.Fatal(err)
		}
		var ports []string
		for _, p := range m.ports {
			network := "-"
			if p.PhysicalNetwork != nil {
				network = *p.PhysicalNetwork
			}
			if p.LocalLinkConnection == nil {
				p.LocalLinkConnection = store.Dict{}
			}
			ports = append(ports, p.UUID+" "+jsonOf(t, p.LocalLinkConnection)+" "+network)
		}
		if got := strings.Join(ports, ", "); got != c.want {
			t.Errorf("%s: %s\nwant %s", c.hook, got, c.want)
		}
	}
}

func TestParsePhysicalNetwork(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.0/24:a":      "192.0.2.0/24 a",
		"2001:db8::/64:b":     "2001:db8::/64 b",
		"192.0.2.7:c":         "192.0.2.7/32 c",
		"192.0.2.7/24:a":      `the network "192.0.2.7/24" has host bits set`,
		"192.0.2.0/24":        `"192.0.2.0/24" is not a network and a name with a colon between`,
		"192.0.2.0/24:":       `"192.0.2.0/24:" is not a network and a name with a colon between`,
		"somewhere:a":         `"somewhere" is no network: netip.ParsePrefix("somewhere"): no '/'`,
		"192.0.2.0/24:a:b:cd": `"192.0.2.0/24:a:b" is no network: netip.ParsePrefix("192.0.2.0/24:a:b"): bad bits after slash: "24:a:b"`,
	} {
		n, err := ParsePhysicalNetwork(text)
		got := n.Prefix.String() + " " + n.Name
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestParseAccelerators(t *testing.T) {
	known, err := ParseAccelerators([]byte("pci_devices:\n  - vendor_id: \"1\"\n    device_id: \"2\"\n    type: FPGA\n"))
	if err != nil || len(known) != 1 || known[0]["type"] != "FPGA" {
		t.Errorf("%v, %v", known, err)
	}
	for text, want := range map[string]string{
		"pci_devices: []":                   "there are no pci_devices among the known accelerators",
		"pci_devices: [{vendor_id: \"1\"}]": "pci_devices: number 1 has no text device_id",
		"pci_devices: [{vendor_id: 1234}]":  "pci_devices: number 1 has no text vendor_id",
		"pci_devices: 7":                    "reading known accelerators: yaml: unmarshal errors:\n  line 1: cannot unmarshal !!int `7` into []map[string]interface {}",
	} {
		if _, err := ParseAccelerators([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestOnlyNewReleasesHaveTheHookCPUs(t *testing.T) {
	_, err := NewHooks("cpus", DefaultConfig(), &memoryStore{})
	if err == nil || err.Error() != "the following hook(s) are missing or failed to load: cpus" {
		t.Errorf("got %v", err)
	}
}
