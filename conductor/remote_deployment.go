package conductor

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/objects"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// A Deployment is no row, but another look at a node: at its instance and what it was asked to run.
var deploymentClass = remoteClass{methods: map[string]remoteMethod{
	"get_by_uuid":      deploymentBy(instanceKind(), "uuid", "instance_uuid"),
	"get_by_node_uuid": deploymentBy(nodeKind, "node_uuid", "uuid"),
	"list":             {params: append([]string{"filters"}, pageParams...), run: listDeployments},
}, actions: map[string]remoteAction{"create": createDeployment, "destroy": destroyDeployment, "refresh": refreshDeployment}}

// deploymentFields are the fields of a Deployment that stand in a node's instance_info, and their names there.
var deploymentFields = map[string]string{"image_checksum": "image_checksum", "image_ref": "image_source", "kernel_ref": "kernel",
	"ramdisk_ref": "ramdisk", "root_device": "root_device", "root_gib": "root_gb", "swap_mib": "swap_mb"}

// asDeployment is a node's Deployment as an object. All its fields count as changed, for it is made anew each time.
func asDeployment(version string, n *store.Node) *objects.Object {
	o := objects.NewPayload("Deployment", version, deploymentOf(n))
	o.Changes = slices.Sorted(maps.Keys(o.Data))
	return o
}

// deploymentOf is a node's Deployment.
func deploymentOf(n *store.Node) map[string]any {
	data := map[string]any{"uuid": textOrNull(n.InstanceUUID), "state": textOrNull(n.ProvisionState), "node_uuid": n.UUID}
	for field, key := range deploymentFields {
		data[field] = n.InstanceInfo[key]
	}
	if data["root_device"] == nil {
		data["root_device"] = store.Dict{}
	}
	return data
}

func textOrNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func deploymentBy(k kind[store.Node], param, column string) remoteMethod {
	return remoteMethod{params: []string{param}, required: 1, run: func(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
		value, err := a.scalar(param)
		if err != nil {
			return nil, err
		}
		n, err := k.by(ctx, c, column, value)
		if err != nil {
			return nil, err
		}
		return asDeployment(a.version, n), nil
	}}
}

func listDeployments(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
	s, err := a.page("nodes")
	if err != nil {
		return nil, err
	}
	if s.Where, err = a.filters(ctx, c, "nodes"); err != nil {
		return nil, err
	}
	found, err := nodeKind.find(ctx, c, s)
	if err != nil {
		return nil, err
	}
	all := make([]*objects.Object, len(found))
	for i, n := range found {
		all[i] = asDeployment(c.codec.Version("Deployment"), n)
	}
	return all, nil
}

// nodeOfDeployment is the node that an object names.
func nodeOfDeployment(ctx context.Context, c *Conductor, sent *objects.Sent) (*store.Node, error) {
	var ident *string
	if raw, given := sent.Data["node_uuid"]; !given {
		return nil, errNotSent("node_uuid")
	} else if err := json.Unmarshal(raw, &ident); err != nil || ident == nil {
		return nil, nodeKind.missing("None")
	}
	return c.db.Node(ctx, *ident)
}

// createDeployment gives a node an instance, and what it is asked to run.
func createDeployment(ctx context.Context, c *Conductor, sent *objects.Sent) (map[string]any, error) {
	n, err := nodeOfDeployment(ctx, c, sent)
	if err != nil {
		return nil, err
	}
	var ident *string
	if raw, given := sent.Data["uuid"]; given {
		if err := json.Unmarshal(raw, &ident); err != nil {
			return nil, store.Errorf(store.InvalidParameterValue, "Field uuid of the object cannot be read.")
		}
	}
	if ident == nil || *ident == "" {
		ident = new(uuid.NewString())
	}
	changes := map[string]any{}
	for _, field := range sent.Changes {
		if slices.Contains([]string{"uuid", "node_uuid"}, field) {
			continue
		}
		var value any
		if err := decodeArg(sent.Data[field], &value); err != nil {
			return nil, store.Errorf(store.InvalidParameterValue, "Field %s of the object cannot be read.", field)
		}
		changes[field] = value
	}
	n.InstanceUUID = *ident
	n.InstanceInfo = maps.Clone(n.InstanceInfo)
	for field, value := range changes {
		key, settable := deploymentFields[field]
		if !settable {
			kind := store.BadRequest
			if c.cfg.Release >= messaging.V2025_1 {
				kind = store.Invalid
			}
			return nil, store.Errorf(kind, "Field %s cannot be set or updated", store.PythonRepr(changes))
		}
		n.InstanceInfo[key] = value
	}
	if err := c.db.SaveNode(ctx, n, sql.Guard{}); err != nil {
		return nil, err
	}
	return deploymentOf(n), nil
}

// destroyDeployment takes the instance from a node.
func destroyDeployment(ctx context.Context, c *Conductor, sent *objects.Sent) (map[string]any, error) {
	n, err := nodeOfDeployment(ctx, c, sent)
	if err != nil {
		return nil, err
	}
	n.InstanceUUID, n.InstanceInfo, n.InstanceName = "", store.Dict{}, nil
	if err := c.db.SaveNode(ctx, n, sql.Guard{}); err != nil {
		return nil, err
	}
	return deploymentOf(n), nil
}

func refreshDeployment(ctx context.Context, c *Conductor, sent *objects.Sent) (map[string]any, error) {
	var value any
	if err := decodeArg(sent.Data["uuid"], &value); err != nil {
		return nil, errNotSent("uuid")
	}
	ident, err := scalarOf("uuid", value)
	if err != nil {
		return nil, err
	}
	n, err := instanceKind().by(ctx, c, "instance_uuid", ident)
	if err != nil {
		return nil, err
	}
	return only(deploymentOf(n), sent.Data), nil
}
