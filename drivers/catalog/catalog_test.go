package catalog_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/catalog"
	"github.com/ironmaster/ironmaster/drivers/fake"
	"github.com/ironmaster/ironmaster/drivers/noop"
	"github.com/ironmaster/ironmaster/store"
)

// parts is a full build; the fakes stand in for hardware, only their names matter here.
func parts() catalog.Parts {
	c := fake.Config{}
	return catalog.Parts{Deploys: map[string]drivers.Deploy{"direct": fake.NewDeploy(c)}, AgentPower: fake.NewPower(c), RedfishPower: fake.NewPower(c),
		RedfishManagement: noop.NewManagement(), VirtualMedia: fake.NewBoot(c)}
}

func defaults(names ...string) catalog.List { return catalog.List{Names: names} }
func chosen(names ...string) catalog.List   { return catalog.List{Names: names, Explicit: true} }

// stock is an ironic.conf of 21.4 that sets nothing but the hardware types and the boot interfaces.
func stock(types ...string) catalog.Config {
	return catalog.Config{
		HardwareTypes: chosen(types...),
		Interfaces: map[drivers.InterfaceType]catalog.List{
			drivers.TypeBIOS:    defaults("no-bios", "redfish"),
			drivers.TypeBoot:    chosen("fake", "redfish-virtual-media"),
			drivers.TypeConsole: defaults("no-console"),
			drivers.TypeDeploy:  defaults("direct", "ramdisk"),
			drivers.TypeInspect: defaults("no-inspect", "redfish"),
			drivers.TypeNetwork: defaults("flat", "noop"),
			drivers.TypeRAID:    defaults("agent", "no-raid", "redfish"),
			drivers.TypeRescue:  defaults("no-rescue"),
			drivers.TypeStorage: defaults("cinder", "noop"),
			drivers.TypeVendor:  defaults("ipmitool", "redfish", "no-vendor"),
		},
		Defaults: map[drivers.InterfaceType]string{drivers.TypeStorage: "noop"},
	}
}

func enable(t *testing.T, c catalog.Config) *catalog.Enabled {
	t.Helper()
	e, _, err := catalog.Enable(catalog.New(parts()), c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestStockDefaults(t *testing.T) {
	e := enable(t, stock("fake-hardware", "manual-management", "redfish", "redfish"))
	want := map[string]map[drivers.InterfaceType]string{
		"fake-hardware": {drivers.TypeBoot: "fake", drivers.TypePower: "fake", drivers.TypeManagement: "fake",
			drivers.TypeDeploy: "direct", drivers.TypeStorage: "noop", drivers.TypeBIOS: "no-bios"},
		"manual-management": {drivers.TypeBoot: "fake", drivers.TypePower: "agent", drivers.TypeManagement: "noop",
			drivers.TypeDeploy: "direct", drivers.TypeNetwork: "noop", drivers.TypeVendor: "no-vendor"},
		"redfish": {drivers.TypeBoot: "redfish-virtual-media", drivers.TypePower: "redfish",
			drivers.TypeManagement: "redfish", drivers.TypeDeploy: "direct", drivers.TypeRAID: "no-raid",
			drivers.TypeInspect: "no-inspect", drivers.TypeVendor: "no-vendor"},
	}
	for hardware, interfaces := range want {
		for typ, name := range interfaces {
			if got := e.Default(hardware, typ); got != name {
				t.Errorf("%s %s: default %q, want %q", hardware, typ, got, name)
			}
		}
	}
}

func TestWarningsNameWhatDefaultsLack(t *testing.T) {
	_, warnings, err := catalog.Enable(catalog.New(parts()), stock("redfish", "redfish", ""))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"enabled_network_interfaces: the default names what this build does not have, left out: flat",
		"enabled_raid_interfaces: the default names what this build does not have, left out: agent, redfish",
		"enabled_hardware_types: named more than once: redfish",
		"enabled_hardware_types: an empty name is ignored",
	} {
		if !slices.Contains(warnings, want) {
			t.Errorf("no warning %q among %q", want, warnings)
		}
	}
}

func TestUnknownExplicitNamesAreAllListed(t *testing.T) {
	c := stock("redfish", "ipmi", "snmp")
	c.Interfaces[drivers.TypeBoot] = chosen("ipxe", "redfish-virtual-media", "pxe")
	_, _, err := catalog.Enable(catalog.New(parts()), c)
	if err == nil {
		t.Fatal("unknown names were accepted")
	}
	for _, want := range []string{
		"Could not find the following items in the 'ironic.hardware.types' entrypoint: ipmi, snmp.",
		"Could not find the following items in the 'ironic.hardware.interfaces.boot' entrypoint: ipxe, pxe.",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing from %v", want, err)
		}
	}
}

func TestHardwareTypeWithoutADefaultStopsTheStart(t *testing.T) {
	c := stock("redfish")
	c.Interfaces[drivers.TypeBoot] = chosen("fake")
	_, _, err := catalog.Enable(catalog.New(parts()), c)
	want := "For hardware type 'redfish', no default value found for boot interface could be determined. " +
		"Please ensure the interfaces are enabled."
	if store.KindOf(err) != store.NoValidDefaultForInterface || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, _, err := catalog.Enable(catalog.New(parts()), stock()); err == nil {
		t.Error("no hardware type at all was accepted")
	}
}

// The rows that a conductor with the interfaces of the recorded one registers, as far as this build has them, are a subset
// of wire/21.4/lifecycle/conductor-start-db-rows.json.
func TestRowsAreThoseOfTheRecording(t *testing.T) {
	recorded := recordedRows(t)
	c := stock("fake-hardware", "redfish")
	c.Interfaces = map[drivers.InterfaceType]catalog.List{
		drivers.TypeBIOS: chosen("fake", "no-bios"), drivers.TypeBoot: chosen("fake", "redfish-virtual-media"),
		drivers.TypeConsole: chosen("fake", "no-console"), drivers.TypeDeploy: chosen("fake", "direct"),
		drivers.TypeInspect: chosen("fake", "no-inspect"), drivers.TypeManagement: chosen("fake", "noop", "redfish"),
		drivers.TypeNetwork: chosen("noop"), drivers.TypePower: chosen("fake", "redfish"),
		drivers.TypeRAID: chosen("fake", "no-raid"), drivers.TypeRescue: chosen("fake", "no-rescue"),
		drivers.TypeStorage: chosen("fake", "noop"), drivers.TypeVendor: chosen("fake", "no-vendor"),
	}
	rows := enable(t, c).Rows()
	perType := map[string]int{}
	for _, row := range rows {
		key := row.HardwareType + " " + row.InterfaceType + " " + row.InterfaceName
		isDefault, ok := recorded[key]
		if !ok {
			t.Errorf("row %s is not in the recording", key)
		}
		if row.HardwareType == "fake-hardware" && isDefault != row.Default {
			t.Errorf("row %s: default %v, recorded %v", key, row.Default, isDefault)
		}
		if row.Default {
			perType[row.HardwareType+row.InterfaceType]++
		}
	}
	for typ, n := range perType {
		if n != 1 {
			t.Errorf("%s has %d defaults", typ, n)
		}
	}
	if len(perType) != 24 {
		t.Errorf("%d pairs of hardware and interface type have a default, want 24", len(perType))
	}
}

func recordedRows(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("testdata/conductor_hardware_interfaces.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		HardwareType  string `json:"hardware_type"`
		InterfaceType string `json:"interface_type"`
		InterfaceName string `json:"interface_name"`
		Default       int    `json:"default"`
	}
	if err := json.Unmarshal(text, &rows); err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, r := range rows {
		out[r.HardwareType+" "+r.InterfaceType+" "+r.InterfaceName] = r.Default == 1
	}
	return out
}

// The types without a boot interface of their own boot over the network, by what a release has for it. manual-management has fake
// besides (docs/compatibility.md).
func TestTypesThatBootOverTheNetwork(t *testing.T) {
	boot := fake.NewBoot(fake.Config{})
	older := parts()
	older.PXE, older.IPXE = boot, boot
	older.Vendors = map[drivers.InterfaceType]map[string]drivers.Interface{
		drivers.TypePower: {"ipmitool": fake.NewPower(fake.Config{}), "snmp": fake.NewPower(fake.Config{})}}
	newer := older
	newer.HTTP, newer.HTTPIPXE = boot, boot
	for _, c := range []struct {
		parts catalog.Parts
		want  []string
	}{
		{older, []string{"ipxe", "pxe"}},
		{newer, []string{"ipxe", "pxe", "http-ipxe", "http"}},
	} {
		types := catalog.New(c.parts).Types
		for name, want := range map[string][]string{"ipmi": c.want, "snmp": c.want, "manual-management": append(slices.Clone(c.want), "fake")} {
			if got := types[name].Supported[drivers.TypeBoot]; !slices.Equal(got, want) {
				t.Errorf("boot interfaces of %s: %v, want %v", name, got, want)
			}
		}
	}
}

func TestEmptyListEnablesEachTypesFirstChoice(t *testing.T) {
	e := enable(t, stock("manual-management", "redfish"))
	if got := e.Catalog.Names(drivers.TypePower); !slices.Equal(got, []string{"agent", "redfish"}) {
		t.Errorf("enabled power interfaces: %v", got)
	}
	if got := e.Catalog.Names(drivers.TypeManagement); !slices.Equal(got, []string{"noop", "redfish"}) {
		t.Errorf("enabled management interfaces: %v", got)
	}
	if got := e.Interfaces("redfish", drivers.TypeManagement); !slices.Equal(got, []string{"noop", "redfish"}) {
		t.Errorf("management interfaces of redfish: %v", got)
	}
}

func TestConfiguredDefaultMustFitTheHardwareType(t *testing.T) {
	c := stock("redfish")
	c.Interfaces[drivers.TypePower] = chosen("redfish", "fake")
	c.Defaults[drivers.TypePower] = "fake"
	_, _, err := catalog.Enable(catalog.New(parts()), c)
	if store.KindOf(err) != store.NoValidDefaultForInterface {
		t.Errorf("a default of another hardware type: %v", err)
	}
	c.Defaults[drivers.TypePower] = "nonsense"
	_, _, err = catalog.Enable(catalog.New(parts()), c)
	if store.KindOf(err) != store.InterfaceNotFoundInEntrypoint {
		t.Errorf("a default that is not enabled: %v", err)
	}
}

func TestFillGivesDefaultsToANewNode(t *testing.T) {
	e := enable(t, stock("fake-hardware", "redfish"))
	n := &store.Node{UUID: "u", Driver: "redfish", RAIDInterface: "no-raid"}
	changed, err := e.Fill(n)
	if err != nil || !changed {
		t.Fatalf("changed %v, %v", changed, err)
	}
	if n.BootInterface != "redfish-virtual-media" || n.PowerInterface != "redfish" || n.NetworkInterface != "noop" {
		t.Errorf("filled node: %+v", n)
	}
	if n.FirmwareInterface != "" {
		t.Errorf("firmware interface %q in a release that has none", n.FirmwareInterface)
	}
	if changed, err := e.Fill(n); err != nil || changed {
		t.Errorf("again: changed %v, %v", changed, err)
	}
	hw, err := e.Hardware(n)
	if err != nil {
		t.Fatal(err)
	}
	for _, typ := range []drivers.InterfaceType{drivers.TypeBoot, drivers.TypeDeploy, drivers.TypeConsole, drivers.TypeVendor} {
		if hw.Get(typ) == nil {
			t.Errorf("no %s interface", typ)
		}
	}
}

// The texts are those of wire/21.4/create_node--err-bad-interface.json, create_node--err-interface-wrong-for-driver.json
// and update_node--err-driver-without-reset.json with the names of this build.
func TestBadChoices(t *testing.T) {
	e := enable(t, stock("fake-hardware", "redfish"))
	for _, c := range []struct {
		node *store.Node
		kind store.Kind
		want string
	}{
		{&store.Node{UUID: "u", Driver: "fake-hardware", DeployInterface: "ansible"}, store.InterfaceNotFoundInEntrypoint,
			`Could not find the following interface in the 'ironic.hardware.interfaces.deploy' entrypoint: ansible. Valid interfaces are ['direct'].`},
		{&store.Node{UUID: "u", Driver: "redfish", PowerInterface: "fake"}, store.IncompatibleInterface,
			`power interface implementation '<ironic.drivers.modules.fake.FakePower object at 0x…>' is not supported by hardware type RedfishHardware.`},
		{&store.Node{UUID: "u", Driver: "redfish", InstanceInfo: store.Dict{"boot_interface": "fake"}}, store.IncompatibleInterface,
			`boot interface implementation '<ironic.drivers.modules.fake.FakeBoot object at 0x…>' is not supported by hardware type RedfishHardware.`},
		{&store.Node{UUID: "u", Driver: "fake-hardware", InstanceInfo: store.Dict{"deploy_interface": ""}}, store.InterfaceNotFoundInEntrypoint,
			`Could not find the following interface in the 'ironic.hardware.interfaces.deploy' entrypoint: . Valid interfaces are ['direct'].`},
		{&store.Node{UUID: "u", Driver: "ipmi"}, store.DriverNotFound,
			`Could not find the following driver(s) or hardware type(s): ipmi.`},
	} {
		before := *c.node
		_, err := e.Fill(c.node)
		if err == nil || store.KindOf(err) != c.kind {
			t.Errorf("%+v: %v, want %s", c.node, err, c.kind)
			continue
		}
		if got := regexp.MustCompile(`0x[0-9a-f]+`).ReplaceAllString(err.Error(), "0x…"); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
		if before.PowerInterface != c.node.PowerInterface || c.node.ConsoleInterface != "" {
			t.Errorf("the node was changed: %+v", c.node)
		}
	}
}

func TestFakeHardwareTakesAnyEnabledInterface(t *testing.T) {
	e := enable(t, stock("fake-hardware", "redfish"))
	n := &store.Node{UUID: "u", Driver: "fake-hardware", PowerInterface: "redfish", BootInterface: "redfish-virtual-media"}
	if _, err := e.Fill(n); err != nil {
		t.Error(err)
	}
}

func TestInstanceInfoOverridesForItsTime(t *testing.T) {
	c := stock("fake-hardware")
	c.Interfaces[drivers.TypeDeploy] = chosen("fake", "direct")
	e := enable(t, c)
	n := &store.Node{UUID: "u", Driver: "fake-hardware", DeployInterface: "fake",
		InstanceInfo: store.Dict{"deploy_interface": "direct", "boot_interface": "fake"}}
	hw, err := e.Hardware(n)
	if err != nil {
		t.Fatal(err)
	}
	if hw.Deploy != e.Catalog.Implementations[drivers.TypeDeploy]["direct"] {
		t.Error("the override was not used")
	}
	if n.DeployInterface != "fake" || n.BootInterface != "" {
		t.Errorf("the override reached the node's own choice: deploy %q, boot %q", n.DeployInterface, n.BootInterface)
	}
}

func TestProperties(t *testing.T) {
	c := stock("fake-hardware")
	c.Interfaces[drivers.TypeVendor] = chosen("fake")
	got, err := enable(t, c).Properties("fake-hardware")
	if err != nil || got["B1"] != "B1 description. Required." {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := enable(t, c).Properties("ipmi"); store.KindOf(err) != store.DriverNotFound {
		t.Errorf("unknown hardware type: %v", err)
	}
}

// booter and deployer read the same key.
type (
	booter   struct{ *fake.Boot }
	deployer struct{ *fake.Deploy }
)

func (booter) Properties() map[string]string { return map[string]string{"shared": "what is booted"} }
func (deployer) Properties() map[string]string {
	return map[string]string{"shared": "what is deployed"}
}

// What several interfaces read is described by the same one each time.
func TestSharedPropertiesAreDescribedByWhatDeploys(t *testing.T) {
	p := parts()
	p.VirtualMedia, p.Deploys["direct"] = booter{fake.NewBoot(fake.Config{})}, deployer{fake.NewDeploy(fake.Config{})}
	e, _, err := catalog.Enable(catalog.New(p), stock("redfish"))
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if got, err := e.Properties("redfish"); err != nil || got["shared"] != "what is deployed" {
			t.Fatalf("%q, %v", got["shared"], err)
		}
	}
}

func TestFirmwareInterfacesFollowTheRelease(t *testing.T) {
	p := parts()
	p.Firmware = true
	e, _, err := catalog.Enable(catalog.New(p), stock("fake-hardware", "redfish"))
	if err != nil {
		t.Fatal(err)
	}
	if got := e.Default("redfish", drivers.TypeFirmware); got != "no-firmware" {
		t.Errorf("default firmware interface %q", got)
	}
}

func TestWhoseConsolesAreGraphical(t *testing.T) {
	for everywhere, want := range map[bool]map[string][]string{
		false: {"fake-hardware": {"fake", "fake-graphical", "no-console"}, "manual-management": {"no-console"}},
		true:  {"fake-hardware": {"fake", "no-console", "fake-graphical"}, "manual-management": {"no-console", "fake-graphical"}},
	} {
		p := parts()
		p.GraphicalConsoles, p.GraphicalEverywhere = map[string]drivers.Console{"fake-graphical": fake.NewConsole()}, everywhere
		for name, consoles := range want {
			if got := catalog.New(p).Types[name].Supported[drivers.TypeConsole]; !slices.Equal(got, consoles) {
				t.Errorf("%s, everywhere %v: %q, want %q", name, everywhere, got, consoles)
			}
		}
	}
}
