package conductor

import (
	"context"
	"slices"

	"github.com/ironmaster/ironmaster/messaging/objects"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// The firmware of nodes, as others read and write it.
var (
	firmwareClass = remoteClass{methods: map[string]remoteMethod{
		"get": {params: []string{"node_id", "name"}, required: 2, run: firmwareComponent},
	}, actions: map[string]remoteAction{"create": createFirmwareComponent, "save": saveFirmwareComponent}}
	firmwareListClass = remoteClass{methods: map[string]remoteMethod{
		"get_by_node_id": {params: []string{"node_id"}, required: 1, run: listFirmware},
	}}
)

func firmwareComponent(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
	n, name, err := a.partOf(ctx, c)
	if err != nil {
		return nil, err
	}
	found, err := c.db.FirmwareComponent(ctx, n.ID, name)
	if err != nil {
		return nil, err
	}
	return c.codec.EncodeAt("FirmwareComponent", a.version, found), nil
}

func listFirmware(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
	n, err := a.nodeOf(ctx, c)
	if err != nil {
		return nil, err
	}
	found, err := sql.Select[store.FirmwareComponent](ctx, c.db, "firmware_information",
		sql.Selection{Where: []sql.Condition{sql.Equals("firmware_information.node_id", n.ID)}, SortKey: "component"})
	if err != nil {
		return nil, err
	}
	return encodeList(c, a, "FirmwareComponentList", "FirmwareComponent", found), nil
}

// createFirmwareComponent notes the firmware of a part of a node. Its version now is that which it had at first.
func createFirmwareComponent(ctx context.Context, c *Conductor, sent *objects.Sent) (map[string]any, error) {
	if !slices.Contains(sent.Changes, "current_version") {
		return nil, oslo.KeyError("current_version")
	}
	var f store.FirmwareComponent
	if err := sent.Into(&f); err != nil {
		return nil, err
	}
	if f.CurrentVersion != nil {
		f.InitialVersion = *f.CurrentVersion
	}
	if err := c.db.CreateFirmwareComponent(ctx, &f); err != nil {
		return nil, err
	}
	return c.codec.EncodeAt("FirmwareComponent", "", &f).Data, nil
}

func saveFirmwareComponent(ctx context.Context, c *Conductor, sent *objects.Sent) (map[string]any, error) {
	var f store.FirmwareComponent
	if err := sent.Into(&f); err != nil {
		return nil, err
	}
	if err := c.db.SaveFirmwareComponent(ctx, &f, sent.Changes); err != nil {
		return nil, err
	}
	return c.codec.EncodeAt("FirmwareComponent", "", &f).Data, nil
}
