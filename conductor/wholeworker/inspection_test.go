package wholeworker

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
)

// agentInspects is the first release of the lab's whose ironic has the inspect interface agent.
const agentInspects = "29.0"

// TestInspection has machines tell what they are made of: their BMCs, and a ramdisk where the release has that. A worker that is
// killed while a ramdisk inspects boots it anew.
func TestInspection(t *testing.T) {
	enabled := "no-inspect,redfish"
	w := start(t, setup{database: "sqlite", bare: true})
	version, err := w.lab.IronicVersion()
	must(t, err)
	if version >= agentInspects {
		enabled += ",agent"
	}
	w.startConductor(t, options{"DEFAULT": {"enabled_inspect_interfaces": enabled}})
	machines := w.openRoom(t, room.Config{Seed: 1, Count: 3, DiskSize: 6 << 30}).Machines()
	t.Run("redfish", func(t *testing.T) { w.inspectBy(t, "redfish", machines[0]) })
	if version < agentInspects {
		return
	}
	t.Run("agent", func(t *testing.T) {
		node := w.inspectBy(t, "agent", machines[1])
		if got := machines[1].Snapshot(); got.Powered || got.Media != "" {
			t.Errorf("the machine has power: %v, inserted is %q", got.Powered, got.Media)
		}
		var stored struct {
			Inventory  map[string]any `json:"inventory"`
			PluginData map[string]any `json:"plugin_data"`
		}
		must(t, w.api.do(t.Context(), http.MethodGet, "/v1/nodes/"+node+"/inventory", nil, &stored))
		cpu, _ := stored.Inventory["cpu"].(map[string]any)
		if fmt.Sprint(cpu["count"]) != "8" || stored.PluginData["valid_interfaces"] == nil {
			t.Errorf("stored is %v", stored)
		}
	})
	t.Run("agent with a worker that dies", func(t *testing.T) { w.inspectAcrossDeath(t, machines[2]) })
	w.checkNothingHeld(t)
}

// unknown takes away what a node is known to be made of.
func (w *world) unknown(t *testing.T, by string, m *room.Machine) string {
	t.Helper()
	node, err := w.api.enrol(t.Context(), m.Info(), w.ramdisk, map[string]any{"inspect_interface": by,
		"properties": map[string]any{"capabilities": "boot_mode:uefi"}})
	must(t, err)
	must(t, w.api.reach(t.Context(), node, "manage", "manageable"))
	return node
}

func (w *world) inspectBy(t *testing.T, by string, m *room.Machine) string {
	t.Helper()
	node := w.unknown(t, by, m)
	must(t, w.api.reach(t.Context(), node, "inspect", "manageable"))
	w.checkInspected(t, node, m)
	if by == "redfish" {
		w.checkPorts(t, node, m.Info().MACs)
	}
	return node
}

// checkInspected looks at what came of an inspection. The port that a ramdisk is known by was there before.
func (w *world) checkInspected(t *testing.T, node string, m *room.Machine) {
	t.Helper()
	var got struct {
		Properties map[string]any `json:"properties"`
		Finished   *time.Time     `json:"inspection_finished_at"`
	}
	must(t, w.api.do(t.Context(), http.MethodGet, "/v1/nodes/"+node, nil, &got))
	if got.Properties["cpu_arch"] != "x86_64" || got.Finished == nil {
		t.Errorf("the node has %v, inspected at %v", got.Properties, got.Finished)
	}
	w.checkPorts(t, node, m.Info().MACs[:1])
}

// checkPorts looks for a port of each address. Enrolment made that of the first; a BMC tells of all.
func (w *world) checkPorts(t *testing.T, node string, addresses []string) {
	t.Helper()
	var ports struct {
		Ports []struct {
			Address string `json:"address"`
		} `json:"ports"`
	}
	must(t, w.api.do(t.Context(), http.MethodGet, "/v1/ports?node="+node, nil, &ports))
	var got []string
	for _, p := range ports.Ports {
		got = append(got, p.Address)
	}
	for _, address := range addresses {
		if !slices.Contains(got, address) {
			t.Errorf("the node has ports of %v, want one of %s", got, address)
		}
	}
}

func (w *world) inspectAcrossDeath(t *testing.T, m *room.Machine) {
	t.Helper()
	node := w.unknown(t, "agent", m)
	must(t, w.api.provision(t.Context(), node, "inspect"))
	_, err := w.api.await(t.Context(), node, "inspect wait", inspectWaits)
	must(t, err)
	must(t, w.conductor.Kill())
	must(t, w.conductor.Start(t.Context()))
	n, err := w.api.settle(t.Context(), node)
	must(t, err)
	if n.ProvisionState != "manageable" || n.LastError != "" {
		t.Fatalf("the inspection ended in %q: %s", n.ProvisionState, n.LastError)
	}
	w.checkInspected(t, node, m)
}

// inspectWaits tells that the ramdisk is awaited. One that was too quick is done.
func inspectWaits(n node) bool {
	return n.ProvisionState == "inspect wait" || n.ProvisionState == "manageable" && n.TargetState == ""
}
