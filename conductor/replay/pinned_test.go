package replay

import (
	"slices"
	"testing"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

// pins are what an operator pins each release to in the middle of a rolling upgrade, by the release's name.
var pins = map[string]struct {
	name     string
	versions map[string]string
}{
	"21.4": {"zed", map[string]string{"nodes": "1.36", "ports": "1.10", "portgroups": "1.4", "node_history": "1.0",
		"node_traits": "1.0", "bios_settings": "1.1", "volume_connectors": "1.0", "volume_targets": "1.0", "allocations": "1.1",
		"chassis": "1.3", "deploy_templates": "1.1", "node_inventory": "1.0"}},
	"29.0": {"2023.1", releases[0].versions},
	"39.0": {"2025.1", releases[1].versions},
}

// pinnedCases are asked of a pinned API and conductor too: they create, change and show every object that this build knows.
var pinnedCases = []string{
	"create_node--minimal", "create_node--redfish", "create_node--all-fields", "update_node--several",
	"update_node--driver-reset-interfaces", "update_node--remove-owner", "update_node--shard", "create_port--ok",
	"update_port--extra", "update_port--into-portgroup", "add_node_traits--add-one", "get_node_with_token--deploy",
	"do_provisioning_action--provide", "do_node_clean--err-bad-step", "change_node_power_state--power-on",
	"update_node--firmware-interface", "update_node--disable-power-off", "update_node--instance-name",
	"create_port--described", "create_node--direct-newer-object",
	"object_action--direct-allocation-create", "object_action--direct-allocation-save", "object_action--direct-bios-create",
	"object_action--direct-chassis-create", "object_action--direct-chassis-save", "object_action--direct-connector-create",
	"object_action--direct-connector-save", "object_action--direct-inventory-create", "object_action--direct-port-create",
	"object_action--direct-port-save", "object_action--direct-portgroup-create", "object_action--direct-portgroup-save",
	"object_action--direct-target-create", "object_action--direct-target-save", "object_action--direct-template-create",
	"object_action--direct-template-save", "object_action--direct-trait-create",
	"object_class_action_versions--direct-node-get", "object_class_action_versions--direct-port-list",
	"object_class_action_versions--direct-portgroup-by-node", "object_class_action_versions--direct-traits-create",
}

// TestPinned asks of a conductor with pin_release_version, on rows that the older release wrote.
func TestPinned(t *testing.T) {
	version, err := lab.NewForTest(t, lab.Options{}).IronicVersion()
	if err != nil {
		t.Fatal(err)
	}
	place, err := recordedRelease(version)
	if err != nil {
		t.Fatal(err)
	}
	pin := pins[releases[place].name]
	w := start(t, options{"DEFAULT": {"pin_release_version": pin.name}}, nil)
	w.db.versions = pin.versions
	var s setups
	w.read(t, "setup.json", &s)
	asked, first := w.recordings(t)
	recorded := map[string]bool{}
	for name := range asked {
		recorded[name] = true
	}
	var own ownCases
	w.read(t, "own.json", &own)
	for name, outcome := range w.outcomes(t, ownOutcomes) {
		asked[name], first[name] = own.Cases[name].asRecording(name), outcome
	}
	ownSetups := own.setups()
	differences := w.differences(t)
	everywhere := difference{Paths: slices.Concat(differences["*"].Paths, differences["pinned"].Paths)}
	tally{what: "pinned cases"}.run(t, pinnedCases, func(name string) outcome {
		before := ownSetups
		if recorded[name] {
			before = s
		}
		outcome := first[name]
		outcome.name = "pinned/" + name
		if w.recording() {
			w.noteCase(t, before, asked[name], outcome)
			return same
		}
		c := trial{asked: asked[name], want: w.expectation(t, outcome)}
		if !slices.ContainsFunc(c.asked.HTTP, func(e exchange) bool { return e.Request != nil }) {
			c.want.Request = c.asked.Request
		}
		return w.replay(t, before, c, differences[name], everywhere)
	})
}
