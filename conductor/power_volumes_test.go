package conductor

import (
	"slices"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

// An instance reaches its volumes while its machine is on.
func TestPowerActionsAttachAndDetachVolumes(t *testing.T) {
	w := startWorker(t, nil)
	refused := func() error { return store.Errorf(store.StorageError, "the storage is away") }
	for _, c := range []struct {
		name, state, before, requested string
		acts                           behaviour
		power, lastError               string
		done                           []string
	}{
		{name: "on", state: store.Active, before: store.PowerOff, requested: store.PowerOn, power: store.PowerOn,
			done: []string{"attach volumes", "power power on"}},
		{name: "off", state: store.Active, before: store.PowerOn, requested: store.PowerOff, power: store.PowerOff,
			done: []string{"power power off", "detach volumes"}},
		{name: "off softly", state: store.Active, before: store.PowerOn, requested: store.SoftPowerOff, power: store.PowerOff,
			done: []string{"power soft power off", "detach volumes"}},
		{name: "reboot", state: store.Active, before: store.PowerOn, requested: store.Reboot, power: store.PowerOn,
			done: []string{"attach volumes", "power rebooting"}},
		{name: "on while it is on", state: store.Active, before: store.PowerOn, requested: store.PowerOn, power: store.PowerOn},
		{name: "off while it is off", state: store.Active, before: store.PowerOff, requested: store.PowerOff, power: store.PowerOff},
		{name: "no instance", state: store.Manageable, before: store.PowerOff, requested: store.PowerOn, power: store.PowerOn,
			done: []string{"power power on"}},
		{name: "no instance, off", state: store.Manageable, before: store.PowerOn, requested: store.PowerOff, power: store.PowerOff,
			done: []string{"power power off"}},
		{name: "attaching fails", state: store.Active, before: store.PowerOff, requested: store.PowerOn, power: store.PowerOff,
			acts: behaviour{attachVolumes: refused}, done: []string{"attach volumes"},
			lastError: "Failed to change power state to 'power on' by 'power on': the storage is away"},
		{name: "detaching fails", state: store.Active, before: store.PowerOn, requested: store.PowerOff, power: store.PowerOff,
			acts: behaviour{detachVolumes: refused}, done: []string{"power power off", "detach volumes"}},
	} {
		n := w.enroll(t, func(n *store.Node) {
			n.ProvisionState, n.PowerState = c.state, c.before
		})
		w.script.bmc(n.UUID, c.before)
		w.script.use(c.acts)
		w.must(t, "change_node_power_state", map[string]any{"node_id": n.UUID, "new_state": c.requested})
		got := w.settled(t, n.UUID, c.state)
		equal(t, c.name+": power state", got.PowerState, c.power)
		equal(t, c.name+": last error", got.LastError, c.lastError)
		done := w.script.did("attach volumes", "detach volumes", "power power on", "power power off", "power soft power off", "power rebooting")
		if !slices.Equal(done, c.done) {
			t.Errorf("%s: asked %q, want %q", c.name, done, c.done)
		}
	}
}
