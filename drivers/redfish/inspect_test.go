package redfish_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/inspection"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// found keeps what an inspection finds.
type found struct {
	ports     []*store.Port
	inventory store.Dict
	plugin    store.Dict
}

func (f *found) CreatePort(_ context.Context, p *store.Port) error {
	if slices.ContainsFunc(f.ports, func(o *store.Port) bool { return o.Address == p.Address }) {
		return store.Errorf(store.MACAlreadyExists, "there already")
	}
	f.ports = append(f.ports, p)
	return nil
}

func (f *found) DestroyPort(context.Context, *store.Port) error { return nil }

func (*found) LastInventory(context.Context, int64) (*store.NodeInventory, error) { return nil, nil }

func (f *found) SaveInventory(_ context.Context, _ int64, inventory, pluginData store.Dict) error {
	f.inventory, f.plugin = inventory, pluginData
	return nil
}

func (f *found) addresses() (all []string) {
	for _, p := range f.ports {
		all = append(all, p.Address)
	}
	return all
}

// portWorker is a worker whose ports are those that were found.
type portWorker struct {
	*worker
	f *found
}

func (w portWorker) Ports(context.Context, *drivers.Task) ([]*store.Port, error) {
	return w.f.ports, nil
}
func (portWorker) SavePort(context.Context, *drivers.Task, *store.Port) error { return nil }

// furnish gives the BMC a machine with two processors, three network cards and two disks.
func furnish(b *bmc) {
	const nics, cpus, disks = systemAt + "/EthernetInterfaces", systemAt + "/Processors", systemAt + "/Storage"
	healthy := object{"Health": "OK", "State": "Enabled"}
	collection := func(at string, ids ...string) {
		var members []any
		for _, id := range ids {
			members = append(members, link(at+"/"+id))
		}
		b.parts[at] = object{"@odata.id": at, "Name": "all", "Members": members, "Members@odata.count": len(ids)}
	}
	b.parts = map[string]object{}
	b.system["Model"], b.system["SerialNumber"] = "M1", "S1"
	b.system["MemorySummary"] = object{"TotalSystemMemoryGiB": 96}
	b.system["EthernetInterfaces"], b.system["Processors"], b.system["Storage"] = link(nics), link(cpus), link(disks)
	collection(nics, "1", "2", "3", "4")
	for id, c := range map[string]object{
		"1": {"MACAddress": "52:54:00:AA:00:01", "Status": healthy, "SpeedMbps": 10000},
		"2": {"MACAddress": "52:54:00:AA:00:02", "Status": object{"Health": "OK", "State": "Disabled"}},
		"3": {"MACAddress": "52:54:00:AA:00:03", "Status": object{"Health": "Critical", "State": "Enabled"}},
		"4": {"MACAddress": "no address", "Status": healthy},
	} {
		c["@odata.id"], c["Id"] = nics+"/"+id, "NIC"+id
		b.parts[nics+"/"+id] = c
	}
	collection(cpus, "0", "1")
	for _, id := range []string{"0", "1"} {
		b.parts[cpus+"/"+id] = object{"@odata.id": cpus + "/" + id, "Id": id, "ProcessorArchitecture": "x86", "InstructionSet": "x86-64",
			"Model": "C1", "MaxSpeedMHz": 3000, "TotalThreads": 16}
	}
	collection(disks, "A")
	b.parts[disks+"/A"] = object{"@odata.id": disks + "/A", "Id": "A", "Drives": []any{link(disks + "/A/d0"), link(disks + "/A/d1"), link(disks + "/A/d2")}}
	for id, size := range map[string]any{"d0": 480 << 30, "d1": 240 << 30, "d2": 1 << 30} {
		b.parts[disks+"/A/"+id] = object{"@odata.id": disks + "/A/" + id, "Id": id, "Name": "Drive " + id, "CapacityBytes": size}
	}
}

func inspected(t *testing.T, b *bmc, cfg redfish.InspectConfig, hooks string) (*drivers.Task, *found, error) {
	t.Helper()
	client, f := open(t, quick()), &found{}
	x, w := task(client, b.url)
	x.Worker = portWorker{w, f}
	x.Node.Properties["capabilities"] = "rack:7"
	if hooks != "" {
		var err error
		if cfg.Hooks, err = inspection.NewHooks(hooks, inspection.DefaultConfig(), f); err != nil {
			t.Fatal(err)
		}
	}
	outcome, err := redfish.NewInspect(client, cfg, f).InspectHardware(t.Context(), x)
	if outcome != drivers.Done {
		t.Errorf("the outcome is %v", outcome)
	}
	return x, f, err
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What a release of ironic makes of the same machine.
func TestInspectHardware(t *testing.T) {
	for _, c := range []struct {
		name       string
		cfg        redfish.InspectConfig
		hooks      string
		properties string
		ports      []string
		inventory  string
	}{
		{name: "21.4", cfg: redfish.InspectConfig{Texts: true, Stored: true}, ports: []string{"52:54:00:aa:00:01"}, inventory: "null",
			properties: `{"capabilities":"rack:7,boot_mode:uefi","cpu_arch":"x86_64","cpus":32,"local_gb":"239","memory_mb":"98304"}`},
		{name: "29.0", cfg: redfish.InspectConfig{Inventory: true, Stored: true}, ports: []string{"52:54:00:aa:00:01"},
			properties: `{"capabilities":"rack:7,boot_mode:uefi","cpu_arch":"x86_64","cpus":32,"local_gb":"239","memory_mb":98304}`,
			inventory: `{"boot":{"current_boot_mode":"uefi"},"cpu":{"architecture":"x86_64","count":32,"frequency":3000,"model_name":"C1"},` +
				`"disks":[{"name":"Drive d0","size":515396075520},{"name":"Drive d1","size":257698037760},{"name":"Drive d2","size":1073741824}],` +
				`"interfaces":[{"mac_address":"52:54:00:AA:00:01"},{"mac_address":"52:54:00:AA:00:02"},{"mac_address":"no address"}],` +
				`"memory":{"physical_mb":98304},"system_vendor":{"manufacturer":"Acme","product_name":"one","serial_number":"S1"}}`},
		{name: "29.0 that stores nothing", cfg: redfish.InspectConfig{Inventory: true}, ports: []string{"52:54:00:aa:00:01"}, inventory: "null",
			properties: `{"capabilities":"rack:7,boot_mode:uefi","cpu_arch":"x86_64","cpus":32,"local_gb":"239","memory_mb":98304}`},
		{name: "the newest", cfg: redfish.InspectConfig{Inventory: true, Stored: true, Serial: true},
			hooks: "validate-interfaces,ports,architecture", ports: []string{"52:54:00:aa:00:01", "52:54:00:aa:00:02", "52:54:00:aa:00:03"},
			properties: `{"capabilities":"rack:7,boot_mode:uefi","cpu_arch":"x86_64","local_gb":239,"memory_mb":98304}`,
			inventory: `{"boot":{"current_boot_mode":"uefi"},"cpu":{"architecture":"x86_64","count":32,"frequency":3000,"model_name":"C1"},` +
				`"disks":[{"model":null,"name":"Drive d0","serial":null,"size":515396075520,"vendor":null},` +
				`{"model":null,"name":"Drive d1","serial":null,"size":257698037760,"vendor":null},{"model":null,"name":"Drive d2","serial":null,"size":1073741824,"vendor":null}],` +
				`"interfaces":[{"mac_address":"52:54:00:aa:00:01","name":"NIC1","speed_mbps":10000},{"mac_address":"52:54:00:aa:00:02","name":"NIC2"},` +
				`{"mac_address":"52:54:00:aa:00:03","name":"NIC3"}],"memory":{"physical_mb":98304},"storage_controllers":[{"drives":[` +
				`{"id":"d0","manufacturer":null,"media_type":null,"model":null,"name":"Drive d0","revision":null,"serial_number":null,"size":515396075520},` +
				`{"id":"d1","manufacturer":null,"media_type":null,"model":null,"name":"Drive d1","revision":null,"serial_number":null,"size":257698037760},` +
				`{"id":"d2","manufacturer":null,"media_type":null,"model":null,"name":"Drive d2","revision":null,"serial_number":null,"size":1073741824}],` +
				`"id":"A","name":null,"storage_controllers":[]}],"system_vendor":{"manufacturer":"Acme","product_name":"M1","serial_number":"S1","system_uuid":"5f0e7cf5-9c0c-4ef7-8d0e-0c2f3b4f6a11"}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBMC(t)
			furnish(b)
			x, f, err := inspected(t, b, c.cfg, c.hooks)
			if err != nil {
				t.Fatal(err)
			}
			if got := asJSON(t, x.Node.Properties); got != c.properties {
				t.Errorf("properties\n%s, want\n%s", got, c.properties)
			}
			if got := f.addresses(); !slices.Equal(got, c.ports) {
				t.Errorf("ports %q, want %q", got, c.ports)
			}
			if got := asJSON(t, f.inventory); got != c.inventory {
				t.Errorf("inventory\n%s, want\n%s", got, c.inventory)
			}
			if sent := b.changes(); len(sent) != 0 {
				t.Errorf("the machine was touched: %q", sent)
			}
		})
	}
}

func TestRootDiskOfAnInspection(t *testing.T) {
	const simple, disks = systemAt + "/SimpleStorage", systemAt + "/Storage"
	for _, c := range []struct {
		name string
		set  func(*bmc)
		want string
	}{
		{"no storage", func(b *bmc) { delete(b.system, "Storage") }, "0"},
		{"a storage that is not there", func(b *bmc) { delete(b.parts, disks) }, "0"},
		{"a storage that the BMC fails to tell of", func(b *bmc) { b.denied = map[string]int{disks: 500} }, "0"},
		{"volumes that it does not tell of", func(b *bmc) {
			b.parts[disks+"/A"]["Volumes"] = link(disks + "/A/Volumes")
			b.denied = map[string]int{disks + "/A/Volumes": 400}
		}, "239"},
		{"simple storage that it does not tell of", func(b *bmc) {
			b.system["SimpleStorage"] = link(simple)
			b.denied = map[string]int{simple: 405}
		}, "239"},
		{"volumes come before drives", func(b *bmc) {
			b.parts[disks+"/A"]["Volumes"] = link(disks + "/A/Volumes")
			b.parts[disks+"/A/Volumes"] = object{"Members": []any{link(disks + "/A/Volumes/v")}, "Members@odata.count": 1}
			b.parts[disks+"/A/Volumes/v"] = object{"@odata.id": disks + "/A/Volumes/v", "Id": "v", "CapacityBytes": 900 << 30}
		}, "899"},
		{"simple storage that is smaller", func(b *bmc) {
			b.system["SimpleStorage"] = link(simple)
			b.parts[simple] = object{"Members": []any{link(simple + "/1")}, "Members@odata.count": 1}
			b.parts[simple+"/1"] = object{"@odata.id": simple + "/1", "Id": "1", "Devices": []any{
				object{"Name": "off", "CapacityBytes": 5 << 30, "Status": object{"State": "Disabled"}},
				object{"Name": "on", "CapacityBytes": 100 << 30, "Status": object{"State": "Enabled"}}}}
		}, "99"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBMC(t)
			furnish(b)
			c.set(b)
			x, _, err := inspected(t, b, redfish.InspectConfig{Texts: true}, "")
			if err != nil {
				t.Fatal(err)
			}
			if got := x.Node.Properties["local_gb"]; got != c.want {
				t.Errorf("local_gb %v, want %s", got, c.want)
			}
		})
	}
}

func TestInspectionThatFails(t *testing.T) {
	for _, c := range []struct {
		name  string
		cfg   redfish.InspectConfig
		set   func(*bmc)
		class store.Kind
		text  string
	}{
		{"21.4 that knows nothing of memory and processors", redfish.InspectConfig{Texts: true, SplitFailure: true},
			func(b *bmc) { delete(b.system, "MemorySummary"); delete(b.system, "Processors") }, store.HardwareInspectionFailure,
			"Failed to inspect hardware. Reason: ('Failed to discover the following properties: %(missing_keys)s on node %(node)s', " +
				"{'missing_keys': 'cpu_arch, memory_mb, cpus', 'node': 'node-1'})"},
		{"29.0 that knows nothing of memory and processors", redfish.InspectConfig{},
			func(b *bmc) { delete(b.system, "MemorySummary"); delete(b.system, "Processors") }, store.HardwareInspectionFailure,
			"Failed to inspect hardware. Reason: Failed to discover the following properties: cpu_arch, memory_mb on node node-1"},
		{"cards that can't be read", redfish.InspectConfig{Texts: true},
			func(b *bmc) { delete(b.parts, systemAt+"/EthernetInterfaces/2") }, store.RedfishError, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBMC(t)
			furnish(b)
			c.set(b)
			x, f, err := inspected(t, b, c.cfg, "")
			if store.KindOf(err) != c.class || c.text != "" && err.Error() != c.text {
				t.Errorf("got %v, want %s %s", err, c.class, c.text)
			}
			if len(f.ports) != 0 || fmt.Sprint(x.Node.Properties) != "map[capabilities:rack:7]" {
				t.Errorf("the node was changed: %v, %q", x.Node.Properties, f.addresses())
			}
		})
	}
}

// shelf is an inspection rule that puts a machine onto a shelf, or refuses it.
type shelf struct{ refusal error }

func (s shelf) Apply(_ context.Context, t *drivers.Task, inventory, pluginData store.Dict, _ string) error {
	t.Node.Extra = store.Dict{"serial": inventory.Dict("system_vendor").String("serial_number"), "cards": len(pluginData.List("macs"))}
	return s.refusal
}

func TestRulesOfAnInspectionByRedfish(t *testing.T) {
	const hooks = "validate-interfaces,ports,architecture"
	x, _, err := inspected(t, furnished(t), redfish.InspectConfig{Rules: shelf{}}, hooks)
	if err != nil || x.Node.Extra.String("serial") != "S1" || x.Node.Extra["cards"] == 0 {
		t.Errorf("extra is %v, %v", x.Node.Extra, err)
	}
	_, _, err = inspected(t, furnished(t), redfish.InspectConfig{Rules: shelf{store.Errorf(store.HardwareInspectionFailure, "no")}}, hooks)
	if store.KindOf(err) != store.HardwareInspectionFailure {
		t.Errorf("a rule that refuses: %v", err)
	}
}

func furnished(t *testing.T) *bmc {
	b := newBMC(t)
	furnish(b)
	return b
}

// The inventory does not depend on which storage answers first.
func TestDisksOfSeveralStoragesKeepTheirOrder(t *testing.T) {
	b := newBMC(t)
	furnish(b)
	const stores = systemAt + "/Storage"
	members := []any{link(stores + "/A")}
	want := []string{"Drive d0", "Drive d1", "Drive d2"}
	for _, id := range []string{"B", "C", "D", "E", "F", "G", "H"} {
		at := stores + "/" + id
		members, want = append(members, link(at)), append(want, "Drive "+id)
		b.parts[at] = object{"@odata.id": at, "Id": id, "Drives": []any{link(at + "/d")}}
		b.parts[at+"/d"] = object{"@odata.id": at + "/d", "Id": "d", "Name": "Drive " + id, "CapacityBytes": 240 << 30}
	}
	b.parts[stores] = object{"@odata.id": stores, "Name": "all", "Members": members, "Members@odata.count": len(members)}
	for range 5 {
		_, f, err := inspected(t, b, redfish.InspectConfig{Inventory: true, Stored: true}, "")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, disk := range f.inventory.List("disks") {
			got = append(got, store.Dict{"disk": disk}.Dict("disk").String("name"))
		}
		if !slices.Equal(got, want) {
			t.Fatalf("disks %q", got)
		}
	}
}
