package conductor

import (
	"errors"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// A deploy interface that chooses another one is back in its place once the node has been cleaned, or when nothing came of it.
func TestADeployInterfaceGivesWay(t *testing.T) {
	w := startWorker(t, func(c *Config) { c.AutomatedClean = false })
	n := w.available(t, func(n *store.Node) { n.DeployInterface = "choosing" })
	w.must(t, "do_node_deploy", map[string]any{"node_id": n.UUID})
	waitUntil(t, "the node is active", func() bool { return w.row(t, n.UUID).ProvisionState == store.Active })
	got := w.row(t, n.UUID)
	equal(t, "deploy interface", got.DeployInterface, "fake")
	equal(t, "its own", got.DriverInternalInfo.String(keyOriginalDeploy), "choosing")
	w.unlocked(t)
	w.must(t, "do_node_tear_down", map[string]any{"node_id": n.UUID})
	waitUntil(t, "the node is available", func() bool { return w.row(t, n.UUID).ProvisionState == store.Available })
	got = w.row(t, n.UUID)
	equal(t, "deploy interface afterwards", got.DeployInterface, "choosing")
	equal(t, "nothing is remembered", got.DriverInternalInfo[keyOriginalDeploy], nil)
}

func TestARefusedDeploymentLeavesTheDeployInterface(t *testing.T) {
	w := startWorker(t, nil)
	w.script.use(behaviour{deployValidate: func() error { return store.Errorf(store.InvalidParameterValue, "no image") }})
	n := w.available(t, func(n *store.Node) { n.DeployInterface = "choosing" })
	w.refused(t, store.InstanceDeployFailure, "do_node_deploy", map[string]any{"node_id": n.UUID})
	got := w.row(t, n.UUID)
	equal(t, "deploy interface", got.DeployInterface, "choosing")
	equal(t, "nothing is remembered", got.DriverInternalInfo[keyOriginalDeploy], nil)
}

func TestAFailedAdoptionLeavesTheDeployInterface(t *testing.T) {
	w := startWorker(t, nil)
	w.script.use(behaviour{prepare: func(*drivers.Task) error { return errors.New("no") }})
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState, n.DeployInterface = store.Manageable, "choosing" })
	w.must(t, "do_provisioning_action", map[string]any{"node_id": n.UUID, "action": "adopt"})
	waitUntil(t, "the adoption has failed", func() bool { return w.row(t, n.UUID).ProvisionState == store.AdoptFail })
	equal(t, "deploy interface", w.row(t, n.UUID).DeployInterface, "choosing")
}
