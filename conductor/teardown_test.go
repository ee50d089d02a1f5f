package conductor

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

func TestTearDown(t *testing.T) {
	broken := errors.New("smoke")
	fails := func(*drivers.Task) error { return broken }
	for _, c := range []struct {
		name      string
		from      string
		acts      behaviour
		state     string
		lastError string
		did       string
		events    []string
	}{
		{name: "an instance", from: store.Active, state: store.Available,
			did:    "deploy.clean up, deploy.tear down, detach vif-1, cleaning.prepare, cleaning.tear down",
			events: []string{"provision_set.start", "provision_set.success", "provision_set.end"}},
		{name: "a rescued instance", from: store.Rescue, state: store.Available,
			did:    "rescue.clean up, deploy.clean up, deploy.tear down, detach vif-1, cleaning.prepare, cleaning.tear down",
			events: []string{"provision_set.start", "provision_set.success", "provision_set.end"}},
		{name: "a rescue that can't be ended", from: store.RescueFail, acts: behaviour{rescueCleanUp: fails},
			state: store.ErrorState, lastError: "Failed to tear down: smoke", did: "rescue.clean up, detach vif-1",
			events: []string{"provision_set.start", "provision_set.error"}},
		{name: "a deployment that can't be undone", from: store.DeployFail, acts: behaviour{tearDown: fails},
			state: store.ErrorState, lastError: "Failed to tear down: smoke",
			did:    "deploy.clean up, deploy.tear down, detach vif-1",
			events: []string{"provision_set.start", "provision_set.error"}},
		{name: "a virtual interface that stays", from: store.Active, acts: behaviour{vifDetach: fails}, state: store.Available,
			did:    "deploy.clean up, deploy.tear down, detach vif-1, cleaning.prepare, cleaning.tear down",
			events: []string{"provision_set.start", "provision_set.success", "provision_set.end"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := startWorker(t, nil)
			n := w.enroll(t, func(n *store.Node) {
				n.ProvisionState, n.InstanceUUID = c.from, "7d8c1d0a-5e0f-4f39-9a21-4b2d3b8e8f10"
				n.InstanceInfo = store.Dict{"image_source": "x", "configdrive": "y"}
				n.DriverInternalInfo = store.Dict{"agent_url": "http://127.0.0.1:9999", "agent_secret_token": "t",
					"is_whole_disk_image": true, "root_uuid_or_disk_id": "r", "deploy_boot_mode": "uefi", "instance": store.Dict{},
					"deploy_steps": []any{}, "kept": "by a driver"}
			})
			w.port(t, n, store.Dict{"tenant_vif_port_id": "vif-1"})
			w.script.use(c.acts)
			w.must(t, "do_node_tear_down", map[string]any{"node_id": n.UUID})
			got := w.settled(t, n.UUID, c.state)
			equal(t, "last error", got.LastError, c.lastError)
			equal(t, "did", strings.Join(slices.DeleteFunc(w.script.did(),
				func(call string) bool { return call == "power.read" }), ", "), c.did)
			equal(t, "instance", got.InstanceUUID, "")
			equal(t, "instance_info", len(got.InstanceInfo), 0)
			equal(t, "target", got.TargetProvisionState, "")
			for key, value := range got.DriverInternalInfo {
				if value != nil && key != "kept" && key != "last_power_state_change" {
					t.Errorf("%s is left: %v", key, value)
				}
			}
			w.announced(t, n.UUID, c.events...)
		})
	}
}

// port gives a node a port.
func (w *worker) port(t *testing.T, n *store.Node, internal store.Dict) *store.Port {
	t.Helper()
	p := &store.Port{NodeID: n.ID, Address: "52:54:00:00:00:01", PXEEnabled: pointer(true), InternalInfo: internal}
	if err := w.db.CreatePort(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestTearDownRefusals(t *testing.T) {
	w := startWorker(t, nil)
	protected := w.enroll(t, func(n *store.Node) { n.ProvisionState, n.Protected = store.Active, true })
	equal(t, "refusal", w.refused(t, store.NodeProtected, "do_node_tear_down", map[string]any{"node_id": protected.UUID}),
		"Node "+protected.UUID+" is protected and cannot be undeployed, rebuilt or deleted")
	free := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Available })
	equal(t, "refusal", w.refused(t, store.InvalidStateRequested, "do_node_tear_down", map[string]any{"node_id": free.UUID}),
		`The requested action "delete" can not be performed on node "`+free.UUID+`" while it is in state "available".`)
	w.script.use(behaviour{powerValidate: func() error { return store.Errorf(store.InvalidParameterValue, "no address") }})
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Active })
	equal(t, "refusal", w.refused(t, store.InstanceDeployFailure, "do_node_tear_down", map[string]any{"node_id": n.UUID}),
		"Failed to validate power driver interface. Can not delete instance. Error: no address")
	equal(t, "provision state", w.row(t, n.UUID).ProvisionState, store.Active)
	w.unlocked(t)
}
