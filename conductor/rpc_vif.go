package conductor

import (
	"context"
	"fmt"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

type vifAttachArgs struct {
	NodeID string `json:"node_id"`
	VIF    any    `json:"vif_info"`
}

func (c *Conductor) vifAttach(ctx context.Context, rq oslo.Context, a vifAttachArgs) (any, error) {
	return nil, c.withNode(ctx, rq, a.NodeID, lockMode{purpose: "attach vif"}, func(ctx context.Context, t *task) error {
		if err := t.Hardware.Network.Validate(ctx, t.Task); err != nil {
			return err
		}
		vif, err := vifOf(a.VIF)
		if err != nil {
			return err
		}
		err = t.Hardware.Network.VIFAttach(ctx, t.Task, vif)
		return t.noteVIFFailure(ctx, fmt.Sprintf("Failed to attach VIF %s to node %s. Error:", vif.ID, a.NodeID), err)
	})
}

// vifOf reads what is asked to be attached.
func vifOf(info any) (drivers.VIF, error) {
	id, err := subscripted(info, "id")
	if err != nil {
		return drivers.VIF{}, err
	}
	asked := store.Dict(info.(map[string]any))
	vif := drivers.VIF{ID: store.PythonText(id), Port: asked.String("port_uuid")}
	if vif.Port == "" {
		vif.Portgroup = asked.String("portgroup_uuid")
	}
	if name, told := asked["name"].(string); told {
		vif.Name = &name
	}
	for _, tag := range asked.List("tags") {
		if text, ok := tag.(string); ok {
			vif.Tags = append(vif.Tags, text)
		}
	}
	return vif, nil
}

type vifDetachArgs struct {
	NodeID string `json:"node_id"`
	ID     string `json:"vif_id"`
}

func (c *Conductor) vifDetach(ctx context.Context, rq oslo.Context, a vifDetachArgs) (any, error) {
	return nil, c.withNode(ctx, rq, a.NodeID, lockMode{purpose: "detach vif"}, func(ctx context.Context, t *task) error {
		if err := t.Hardware.Network.Validate(ctx, t.Task); err != nil {
			return err
		}
		err := t.Hardware.Network.VIFDetach(ctx, t.Task, a.ID)
		return t.noteVIFFailure(ctx, fmt.Sprintf("Failed to detach VIF %s from node %s, Error:", a.ID, a.NodeID), err)
	})
}

// noteVIFFailure keeps a failure in the node's history, as newer releases do; they leave the row as it is.
func (t *task) noteVIFFailure(ctx context.Context, what string, err error) error {
	if err != nil && !lost(err) && t.c.cfg.Release >= messaging.V2026_1 {
		t.addHistory(ctx, t.Node.ProvisionState, "ERROR", what+" "+err.Error())
	}
	return err
}

func (c *Conductor) vifList(ctx context.Context, rq oslo.Context, a nodeArgs) (any, error) {
	vifs := []map[string]string{}
	err := c.readNode(ctx, rq, a.NodeID, "list vifs", func(ctx context.Context, t *task) error {
		if err := t.Hardware.Network.Validate(ctx, t.Task); err != nil {
			return err
		}
		ids, err := t.Hardware.Network.VIFList(ctx, t.Task)
		for _, id := range ids {
			vifs = append(vifs, map[string]string{"id": id})
		}
		return err
	})
	return vifs, err
}
