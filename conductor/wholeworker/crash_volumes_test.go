package wholeworker

import (
	"context"
	"fmt"
	"net/http"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
)

// volumeOwn are fields of a node that boots from a volume.
var volumeOwn = map[string]any{"storage_interface": "cinder", "properties": map[string]any{"cpu_arch": "x86_64",
	"capabilities": "boot_mode:uefi,iscsi_boot:true"}}

// volumeOf is the volume of a node. Ids have 36 characters.
func volumeOf(node string) string { return "volume-" + node[len("volume-"):] }

// offerVolume has Cinder keep a volume for the node, which boots from it. One with power has it attached.
func (r *crashRun) offerVolume(ctx context.Context) error {
	owner := ""
	if r.flow.on {
		owner = r.node
	}
	r.services.cinder.Put(volumeOf(r.node), owner)
	connector := map[string]any{"node_uuid": r.node, "type": "iqn", "connector_id": "iqn.2026-11.example:" + r.node}
	if err := r.api.do(ctx, http.MethodPost, "/v1/volume/connectors", connector, nil); err != nil {
		return err
	}
	return r.api.do(ctx, http.MethodPost, "/v1/volume/targets", map[string]any{"node_uuid": r.node, "volume_type": "iscsi", "boot_index": 0,
		"volume_id": volumeOf(r.node)}, nil)
}

// checkAttached expects a machine that was started with its volume. The room has no volumes that it could boot.
func (r *crashRun) checkAttached() error {
	if err := r.checkVolume("in-use", r.node); err != nil {
		return err
	}
	if got := r.machine.Snapshot(); !got.Powered || got.Booted == room.BootAgent {
		return fmt.Errorf("the machine runs %q (%s)", got.Booted, got.BootError)
	}
	return nil
}

// checkDetached expects a volume that others can have.
func (r *crashRun) checkDetached() error {
	if err := r.checkVolume("available", ""); err != nil {
		return err
	}
	return r.checkOff()
}

func (r *crashRun) checkVolume(status, owner string) error {
	if gotStatus, gotOwner := r.services.cinder.Volume(volumeOf(r.node)); gotStatus != status || gotOwner != owner {
		return fmt.Errorf("the volume is %q, attached to %q", gotStatus, gotOwner)
	}
	return nil
}
