package conductor

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/objects"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

func missingAs(k store.Kind, noun string) func(any) error {
	return func(ident any) error { return store.Errorf(k, "%s %v could not be found.", noun, ident) }
}

// The kinds of objects that are rows of one table.
var (
	nodeKind = kind[store.Node]{name: "Node", table: "nodes", missing: missingAs(store.NodeNotFound, "Node"),
		fill: func(ctx context.Context, c *Conductor, found []*store.Node) error { return c.db.WithTraits(ctx, found) }}
	portKind       = kind[store.Port]{name: "Port", table: "ports", missing: missingAs(store.PortNotFound, "Port")}
	portgroupKind  = kind[store.Portgroup]{name: "Portgroup", table: "portgroups", missing: missingAs(store.PortgroupNotFound, "Portgroup")}
	chassisKind    = kind[store.Chassis]{name: "Chassis", table: "chassis", missing: missingAs(store.ChassisNotFound, "Chassis")}
	conductorKind  = kind[store.Conductor]{name: "Conductor", table: "conductors", missing: missingAs(store.ConductorNotFound, "Conductor")}
	allocationKind = kind[store.Allocation]{name: "Allocation", table: "allocations",
		missing: missingAs(store.AllocationNotFound, "Allocation")}
	connectorKind = kind[store.VolumeConnector]{name: "VolumeConnector", table: "volume_connectors",
		missing: missingAs(store.VolumeConnectorNotFound, "Volume connector")}
	targetKind = kind[store.VolumeTarget]{name: "VolumeTarget", table: "volume_targets",
		missing: missingAs(store.VolumeTargetNotFound, "Volume target")}
	historyKind = kind[store.NodeHistory]{name: "NodeHistory", table: "node_history",
		missing: missingAs(store.NodeHistoryNotFound, "Node history record")}
	inventoryKind = kind[store.NodeInventory]{name: "NodeInventory", table: "node_inventory", missing: sql.NoInventory}
	templateKind  = kind[store.DeployTemplate]{name: "DeployTemplate", table: "deploy_templates",
		missing: missingAs(store.DeployTemplateNotFound, "Deploy template"),
		fill: func(ctx context.Context, c *Conductor, found []*store.DeployTemplate) error {
			return c.db.WithTemplateSteps(ctx, found)
		}}
	runbookKind = kind[store.Runbook]{name: "Runbook", table: "runbooks", missing: missingAs(store.RunbookNotFound, "Runbook"),
		fill: func(ctx context.Context, c *Conductor, found []*store.Runbook) error {
			return c.db.WithRunbookParts(ctx, found)
		}}
	ruleKind = kind[store.InspectionRule]{name: "InspectionRule", table: "inspection_rules",
		missing: missingAs(store.InspectionRuleNotFound, "Rule")}
)

func makeRemoteClasses() map[string]remoteClass {
	return map[string]remoteClass{
		"Node": {methods: map[string]remoteMethod{
			"get": nodeKind.get("node_id"), "get_by_id": nodeKind.lookup("node_id", "id"), "get_by_uuid": nodeKind.lookup("uuid", "uuid"),
			"get_by_name": nodeKind.lookup("name", "name"), "get_by_instance_uuid": instanceKind().lookup("instance_uuid", "instance_uuid"),
			"get_by_port_addresses": {params: []string{"addresses"}, required: 1, run: nodeByAddresses},
			"list":                  {params: append(slices.Clone(pageParams), "filters", "fields"), run: listNodes},
		}, actions: nodeWriter.actions()},
		"Port": {methods: map[string]remoteMethod{
			"get": portKind.get("port_id", "address", "name"), "get_by_id": portKind.lookup("port_id", "id"), "get_by_uuid": portKind.lookup("uuid", "uuid"),
			"get_by_name": portKind.lookup("name", "name"), "get_by_address": portKind.lookup("address", "address", "owner", "project"),
			"list":                 portKind.list("", "", "owner", "project", "conductor_groups", "filters"),
			"list_by_node_id":      portKind.list("node_id", "node_id", "owner", "project", "filters"),
			"list_by_portgroup_id": portKind.list("portgroup_id", "portgroup_id", "owner", "project", "filters"),
		}, actions: portWriter.actions()},
		"Portgroup": {methods: map[string]remoteMethod{
			"get":       portgroupKind.get("portgroup_ident", "address", "name"),
			"get_by_id": portgroupKind.lookup("portgroup_id", "id"), "get_by_uuid": portgroupKind.lookup("uuid", "uuid"),
			"get_by_name":     portgroupKind.lookup("name", "name"),
			"get_by_address":  portgroupKind.lookup("address", "address", "project"),
			"list":            portgroupKind.list("", "", "project", "conductor_groups", "filters"),
			"list_by_node_id": portgroupKind.list("node_id", "node_id", "project"),
		}, actions: portgroupWriter.actions()},
		"Chassis": {methods: map[string]remoteMethod{
			"get": chassisKind.get("chassis_id"), "get_by_id": chassisKind.lookup("chassis_id", "id"),
			"get_by_uuid": chassisKind.lookup("uuid", "uuid"), "list": chassisKind.list("", ""),
		}, actions: chassisWriter.actions()},
		"Conductor": {methods: map[string]remoteMethod{
			"get_by_hostname":                    {params: []string{"hostname", "online"}, required: 1, run: conductorByHostname},
			"list":                               conductorKind.list("", ""),
			"get_active_hardware_type_dict":      {params: []string{"use_groups"}, run: activeHardwareTypes},
			"list_hardware_type_interfaces_dict": {params: []string{"names"}, required: 1, run: hardwareInterfaces},
			"get_shard_list":                     {run: shards},
		}, actions: map[string]remoteAction{"save": saveConductor, "refresh": refreshConductor},
			since: map[string]messaging.Release{"get_active_hardware_type_dict": messaging.V2025_2,
				"list_hardware_type_interfaces_dict": messaging.V2025_2, "get_shard_list": messaging.V2025_2}},
		"Allocation": {methods: map[string]remoteMethod{
			"get":       allocationKind.get("allocation_ident", "name"),
			"get_by_id": allocationKind.lookup("allocation_id", "id"), "get_by_uuid": allocationKind.lookup("uuid", "uuid"),
			"get_by_name": allocationKind.lookup("name", "name"), "list": allocationKind.listByFilters(),
			"check_node_list": {params: []string{"candidate_nodes", "project"}, required: 2, run: checkNodeList},
		}, actions: allocationWriter.actions(), since: map[string]messaging.Release{"check_node_list": messaging.V2025_2}},
		"VolumeConnector": {methods: volumeMethods(connectorKind), actions: connectorWriter.actions()},
		"VolumeTarget": {methods: withMethod(volumeMethods(targetKind), "list_by_volume_id",
			targetKind.list("volume_id", "volume_id", "project")), actions: targetWriter.actions()},
		"DeployTemplate": {methods: map[string]remoteMethod{
			"get_by_id": templateKind.lookup("template_id", "id"), "get_by_uuid": templateKind.lookup("uuid", "uuid"),
			"get_by_name": templateKind.lookup("name", "name"), "list": templateKind.list("", ""),
			"list_by_names": templateKind.listByNames(),
		}, actions: templateWriter.actions()},
		"Runbook": {methods: map[string]remoteMethod{
			"get_by_id": runbookKind.lookup("runbook_id", "id"), "get_by_uuid": runbookKind.lookup("uuid", "uuid"),
			"get_by_name": runbookKind.lookup("name", "name"), "list": runbookKind.list("", "", "filters"),
			"list_by_names": runbookKind.listByNames(),
		}, actions: runbookWriter.actions()},
		"RunbookTrait": runbookTraitClass, "RunbookTraitList": runbookTraitListClass,
		"InspectionRule": {methods: map[string]remoteMethod{
			"get_by_uuid": ruleKind.lookup("uuid", "uuid"), "list": ruleKind.list("", "", "filters"),
		}, actions: ruleWriter.actions()},
		"FirmwareComponent": firmwareClass, "FirmwareComponentList": firmwareListClass,
		"Deployment": deploymentClass,
		"NodeHistory": {methods: map[string]remoteMethod{
			"get": historyKind.get("history_ident"), "get_by_id": historyKind.lookup("history_id", "id"),
			"get_by_uuid": historyKind.lookup("uuid", "uuid"), "list": historyKind.list("", ""),
			"list_by_node_id": historyKind.list("node_id", "node_id"),
		}},
		"NodeInventory": {methods: map[string]remoteMethod{"get_by_node_id": inventoryKind.lookup("node_id", "node_id")},
			actions: map[string]remoteAction{"create": createInventory, "destroy": destroyInventory}},
		"BIOSSetting": biosClass, "BIOSSettingList": biosListClass,
		"Trait": traitClass, "TraitList": traitListClass,
	}
}

func withMethod(methods map[string]remoteMethod, name string, m remoteMethod) map[string]remoteMethod {
	methods = maps.Clone(methods)
	methods[name] = m
	return methods
}

func volumeMethods[T any](k kind[T]) map[string]remoteMethod {
	return map[string]remoteMethod{
		"get": k.get("ident"), "get_by_id": k.lookup("db_id", "id"), "get_by_uuid": k.lookup("uuid", "uuid"),
		"list": k.list("", "", "project"), "list_by_node_id": k.list("node_id", "node_id", "project"),
	}
}

// instanceKind is nodes by their instance. The text of its failure is ironic's, which forgot to fill it in.
func instanceKind() kind[store.Node] {
	k := nodeKind
	k.missing = func(any) error {
		return store.Errorf(store.InstanceNotFound, "%s", "Instance %(instance)s could not be found.")
	}
	return k
}

// listByFilters is the list of allocations, whose filters come first.
func (k kind[T]) listByFilters() remoteMethod {
	m := k.list("", "", "filters")
	m.params = append([]string{"filters"}, pageParams...)
	return m
}

// listNodes is Node.list: a caller may want some fields only.
func listNodes(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
	fields, err := a.wantedFields()
	if err != nil {
		return nil, err
	}
	listed, err := nodeKind.list("", "").run(ctx, c, a)
	if all, ok := listed.([]*objects.Object); ok && fields != nil {
		for _, one := range all {
			maps.DeleteFunc(one.Data, func(field string, _ any) bool { return !slices.Contains(fields, field) })
		}
	}
	return listed, err
}

// nodeByAddresses finds the one node that has any of the ports.
func nodeByAddresses(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
	var addresses []any
	if err := a.read("addresses", &addresses); err != nil {
		return nil, err
	}
	wanted, err := scalarsOf("addresses", addresses)
	if err != nil {
		return nil, err
	}
	ports, err := portKind.find(ctx, c, sql.Selection{Where: []sql.Condition{sql.OneOf("ports.address", wanted)}})
	if err != nil {
		return nil, err
	}
	ids := map[int64]bool{}
	for _, port := range ports {
		ids[port.NodeID] = true
	}
	switch len(ids) {
	case 0:
		return nil, store.Errorf(store.NodeNotFound, "Node with port addresses %s was not found", store.PythonRepr(addresses))
	case 1:
		node, err := nodeKind.by(ctx, c, "id", ports[0].NodeID)
		if err != nil {
			return nil, err
		}
		return c.codec.EncodeAt("Node", a.version, node), nil
	}
	return nil, store.Errorf(store.NodeNotFound, "Multiple nodes with port addresses %s were found", store.PythonRepr(addresses))
}

// listByNames is a method that lists those objects that have one of some names.
func (k kind[T]) listByNames() remoteMethod {
	return remoteMethod{params: []string{"names"}, required: 1, run: func(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
		var names []any
		if err := a.read("names", &names); err != nil {
			return nil, err
		}
		wanted, err := scalarsOf("names", names)
		if err != nil {
			return nil, err
		}
		found, err := k.find(ctx, c, sql.Selection{Where: []sql.Condition{sql.OneOf(k.table+".name", wanted)}, SortKey: "name"})
		if err != nil {
			return nil, err
		}
		return encodeAll(c, k.name, found), nil
	}}
}

// conductorByHostname finds a worker, that is online unless the caller says otherwise.
func conductorByHostname(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
	hostname, err := a.scalar("hostname")
	if err != nil {
		return nil, err
	}
	var further []sql.Condition
	online := new(true)
	if _, given := a.values["online"]; given {
		online = nil
		if err := a.read("online", &online); err != nil {
			return nil, err
		}
	}
	if online != nil {
		further = append(further, sql.Equals("conductors.online", *online))
	}
	found, err := conductorKind.by(ctx, c, "hostname", hostname, further...)
	if err != nil {
		return nil, err
	}
	return c.codec.EncodeAt("Conductor", a.version, found), nil
}

// activeHardwareTypes tells which workers serve each hardware type, with conductor groups or without.
func activeHardwareTypes(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
	var groups bool
	if err := a.read("use_groups", &groups); err != nil {
		return nil, err
	}
	members, err := c.db.OnlineConductors(ctx, c.cfg.HeartbeatTimeout)
	if err != nil {
		return nil, err
	}
	hosts := map[string][]string{}
	for _, m := range members {
		for _, hardware := range m.HardwareTypes {
			key := hardware
			if groups {
				key = m.Group + ":" + hardware
			}
			if !slices.Contains(hosts[key], m.Hostname) {
				hosts[key] = append(hosts[key], m.Hostname)
			}
		}
	}
	return hosts, nil
}

// hardwareInterfaces lists the interfaces that living workers have enabled for hardware types.
func hardwareInterfaces(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
	var names []string
	if err := a.read("names", &names); err != nil {
		return nil, err
	}
	rows, err := c.db.EnabledInterfaces(ctx, names, c.cfg.HeartbeatTimeout)
	if err != nil {
		return nil, err
	}
	all := []map[string]any{}
	for _, r := range rows {
		all = append(all, map[string]any{
			"id": r.ID, "conductor_id": r.ConductorID, "hardware_type": r.HardwareType, "interface_type": r.InterfaceType,
			"interface_name": r.InterfaceName, "default": r.Default, "version": nil,
			"created_at": isoTime(r.CreatedAt), "updated_at": isoTime(r.UpdatedAt),
		})
	}
	return all, nil
}

// isoTime is a moment as Python's isoformat() has it without a time zone, nil for none.
func isoTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05")
}

// shards counts the nodes of each shard.
func shards(ctx context.Context, c *Conductor, _ boundArgs) (any, error) { return c.db.Shards(ctx) }
