package conductor

import (
	"context"
	"fmt"
	"slices"

	"github.com/ironmaster/ironmaster/store"
)

// tearDown takes an instance away and cleans the node. The node is in "deleting"; from is the state that it was in before.
func (t *task) tearDown(ctx context.Context, from string) {
	failure := t.undeploy(ctx, from)
	if lost(failure) || failure != nil && t.cutShort(ctx, failure.Error()) {
		return
	}
	if failure != nil {
		t.record(ctx, historyUnprovision, fmt.Sprintf("Failed to tear down: %s", failure))
		t.failEvent(ctx, "")
	}
	// The instance is forgotten even when its traces could not all be removed: whoever tears down next must not find
	// half of it.
	settle, cancel := lingering(ctx)
	defer cancel()
	// gofail: var instanceTornDown struct{}
	if err := t.forgetInstance(settle); err != nil {
		t.Log.Error().Err(err).Msg("Forgetting the instance failed")
		return
	}
	if failure != nil {
		return
	}
	// gofail: var instanceForgotten struct{}
	r, refusal := t.automatedClean(ctx)
	if refusal != nil && store.KindOf(refusal) == "" {
		t.Log.Error().Err(refusal).Msg("Finding the runbook for the cleaning after a tear-down failed")
		return
	}
	t.listFor(r)
	if err := t.processEvent(ctx, eventClean, eventOptions{}); err != nil {
		t.Log.Error().Err(err).Msg("Starting the cleaning after a tear-down failed")
		return
	}
	if refusal != nil {
		t.cleanFailed(ctx, flowFailure{text: refusal.Error(), keepRamdisk: true})
		return
	}
	t.startClean(ctx, r)
}

// rescued are the states in which a rescue ramdisk and its network may be there still.
var rescued = []string{store.RescueWait, store.Rescue, store.UnrescueFail, store.RescueFail}

func (t *task) undeploy(ctx context.Context, from string) error {
	if slices.Contains(rescued, from) {
		if err := t.Hardware.Rescue.CleanUp(ctx, t.Task); err != nil {
			return err
		}
	}
	if err := t.stopConsole(ctx); err != nil {
		return err
	}
	if err := t.chooseForRamdisk(ctx); err != nil {
		return err
	}
	if err := t.Hardware.Deploy.CleanUp(ctx, t.Task); err != nil {
		return err
	}
	return t.Hardware.Deploy.TearDown(ctx, t.Task)
}

func (t *task) forgetInstance(ctx context.Context) error {
	node := t.Node
	node.InstanceInfo = store.Dict{}
	node.InstanceUUID = ""
	node.InstanceName = nil
	t.wipeDeploy(ctx)
	info := node.DriverInternalInfo
	for _, key := range []string{"instance", "root_uuid_or_disk_id", "is_whole_disk_image", "is_source_a_path",
		"deploy_boot_mode"} {
		delete(info, key)
	}
	if info.Bool("automatic_lessee", false) {
		node.Lessee = nil
		delete(info, "automatic_lessee")
	}
	if err := t.detachVIFs(ctx); err != nil {
		return err
	}
	if err := t.save(ctx); err != nil {
		return err
	}
	if node.AllocationID == nil {
		return nil
	}
	return t.c.db.DestroyAllocation(ctx, node, t.guard())
}

// detachVIFs takes the instance's virtual interfaces away. One that can't be reached is left: the instance is gone all the same.
func (t *task) detachVIFs(ctx context.Context) error {
	vifs, err := t.Hardware.Network.VIFList(ctx, t.Task)
	if err != nil {
		return err
	}
	for _, vif := range vifs {
		err := t.Hardware.Network.VIFDetach(ctx, t.Task, vif)
		if lost(err) {
			return err
		}
		if err != nil {
			t.Log.Warn().Err(err).Str("vif", vif).Msg("Detaching a virtual interface failed")
		}
	}
	return nil
}
