package conductor

import (
	"context"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

func TestPowerOfParentsAndChildren(t *testing.T) {
	ownSupply := store.Dict{"has_dedicated_power_supply": true}
	for _, c := range []struct {
		name           string
		release        messaging.Release
		parent, child  string // the power states before
		supply         store.Dict
		of, to         string
		parentIs, kids string // and afterwards
	}{
		{name: "a child is switched on", release: messaging.V2025_1, parent: store.PowerOff, child: store.PowerOff, of: "child",
			to: store.PowerOn, parentIs: store.PowerOn, kids: store.PowerOn},
		{name: "a child whose parent is on", release: messaging.V2025_1, parent: store.PowerOn, child: store.PowerOff, of: "child",
			to: store.PowerOn, parentIs: store.PowerOn, kids: store.PowerOn},
		{name: "a child with a supply of its own", release: messaging.V2025_1, parent: store.PowerOff, child: store.PowerOff,
			supply: ownSupply, of: "child", to: store.PowerOn, parentIs: store.PowerOff, kids: store.PowerOn},
		{name: "a child is switched off", release: messaging.V2025_1, parent: store.PowerOn, child: store.PowerOn, of: "child",
			to: store.PowerOff, parentIs: store.PowerOn, kids: store.PowerOff},
		{name: "a child is rebooted", release: messaging.V2025_1, parent: store.PowerOff, child: store.PowerOff, of: "child",
			to: store.Reboot, parentIs: store.PowerOff, kids: store.PowerOn},
		{name: "a parent is switched off", release: messaging.V2025_1, parent: store.PowerOn, child: store.PowerOn, of: "parent",
			to: store.PowerOff, parentIs: store.PowerOff, kids: store.PowerOff},
		{name: "a parent of a child with a supply of its own", release: messaging.V2025_1, parent: store.PowerOn, child: store.PowerOn,
			supply: ownSupply, of: "parent", to: store.PowerOff, parentIs: store.PowerOff, kids: store.PowerOn},
		{name: "a parent is switched on", release: messaging.V2025_1, parent: store.PowerOff, child: store.PowerOff, of: "parent",
			to: store.PowerOn, parentIs: store.PowerOn, kids: store.PowerOff},
		{name: "a release that knows no families", release: messaging.V2023_2, parent: store.PowerOff, child: store.PowerOff, of: "child",
			to: store.PowerOn, parentIs: store.PowerOff, kids: store.PowerOn},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := on(t, c.release)
			parent := w.enroll(t, func(n *store.Node) { n.ProvisionState, n.PowerState = store.Manageable, c.parent })
			child := w.enroll(t, func(n *store.Node) {
				n.ProvisionState, n.PowerState, n.ParentNode, n.DriverInfo = store.Manageable, c.child, parent.UUID, c.supply
			})
			node := map[string]*store.Node{"parent": parent, "child": child}[c.of]
			w.must(t, "change_node_power_state", map[string]any{"node_id": node.UUID, "new_state": c.to, "timeout": nil})
			w.unlocked(t)
			equal(t, "parent", w.settled(t, parent.UUID, store.Manageable).PowerState, c.parentIs)
			equal(t, "child", w.settled(t, child.UUID, store.Manageable).PowerState, c.kids)
		})
	}
}

func TestARelativeThatIsLockedKeepsTheNodeFromSwitching(t *testing.T) {
	w := on(t, messaging.V2025_1)
	parent := w.enroll(t, func(n *store.Node) { n.ProvisionState, n.PowerState = store.Manageable, store.PowerOff })
	child := w.enroll(t, func(n *store.Node) {
		n.ProvisionState, n.PowerState, n.ParentNode = store.Manageable, store.PowerOff, parent.UUID
	})
	for _, c := range []struct {
		held, asked *store.Node
		power, to   string
		text        string
	}{
		{held: parent, asked: child, power: store.PowerOff, to: store.PowerOn,
			text: "Failed to change power state to 'power on' by 'power on': Node " + child.UUID + " parent_node " + parent.UUID + " is"},
		{held: child, asked: parent, power: store.PowerOn, to: store.PowerOff,
			text: "Failed to change power state to 'power off' by 'power off': Node " + parent.UUID + " child_node " + child.UUID + " is"},
	} {
		w.script.bmc(parent.UUID, c.power)
		w.script.bmc(child.UUID, c.power)
		w.script.use(behaviour{})
		held := w.lock(t, c.held.UUID, lockMode{purpose: "a test"})
		w.must(t, "change_node_power_state", map[string]any{"node_id": c.asked.UUID, "new_state": c.to, "timeout": nil})
		waitUntil(t, "the failure is recorded", func() bool { return w.row(t, c.asked.UUID).LastError != "" })
		got := w.settled(t, c.asked.UUID, store.Manageable)
		equal(t, "error "+got.LastError, strings.HasPrefix(got.LastError, c.text), true)
		equal(t, "target power state", got.TargetPowerState, "")
		equal(t, "switched", len(w.script.did("power power on", "power power off")), 0)
		if err := held.release(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.unlocked(t)
}

// A relative that somebody else has taken over ends the power action. The node itself is this worker's still.
func TestARelativeThatIsLostFailsTheNode(t *testing.T) {
	w := on(t, messaging.V2025_1)
	parent := w.enroll(t, func(n *store.Node) { n.ProvisionState, n.PowerState = store.Manageable, store.PowerOn })
	child := w.enroll(t, func(n *store.Node) {
		n.ProvisionState, n.PowerState, n.ParentNode = store.Manageable, store.PowerOn, parent.UUID
	})
	w.script.use(behaviour{setPower: func(context.Context, string) error {
		w.exec(t, "UPDATE nodes SET reservation = 'another' WHERE uuid = ?", child.UUID)
		return nil
	}})
	held := w.lock(t, parent.UUID, lockMode{purpose: "a test"})
	err := held.setPower(t.Context(), store.PowerOff, 0)
	if err == nil || lost(err) {
		t.Errorf("switching off: %v", err)
	}
	if err := held.release(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := w.row(t, parent.UUID)
	equal(t, "error "+got.LastError, strings.HasPrefix(got.LastError, "Failed to change power state to 'power off'"), true)
	equal(t, "target power state", got.TargetPowerState, "")
}
