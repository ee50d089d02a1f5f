package conductor

import (
	"context"
	"reflect"
	"strings"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

// rpcMethod is one entry of the method table: how a request's arguments become a call of a handler.
type rpcMethod struct {
	required, optional []string
	// readOnly methods change nothing: they need no inbox entry, because asking again does no harm.
	readOnly bool
	// repeated tells that whoever calls asks again until he is answered.
	repeated bool
	// since is the release that brought the method; zero is older than every release spoken.
	since messaging.Release
	call  func(ctx context.Context, c *Conductor, r *oslo.Request) (any, error)
}

// method builds an entry from a handler whose arguments are a struct: the tag json names an argument, and one without
// ",omitempty" is required.
func method[A any](handler func(*Conductor, context.Context, oslo.Context, A) (any, error)) rpcMethod {
	m := rpcMethod{}
	t := reflect.TypeFor[A]()
	for i := range t.NumField() {
		name, option, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if option == "omitempty" {
			m.optional = append(m.optional, name)
		} else {
			m.required = append(m.required, name)
		}
	}
	m.call = func(ctx context.Context, c *Conductor, r *oslo.Request) (any, error) {
		var args A
		if err := decodeArgs(r, &args); err != nil {
			return nil, err
		}
		return handler(c, ctx, r.Context, args)
	}
	return m
}

// reading marks a method as one that changes nothing.
func reading(m rpcMethod) rpcMethod {
	m.readOnly = true
	return m
}

// repeated marks a method whose callers ask again until they are answered. What a worker had accepted when it died is not run: the caller
// may be gone, and what is done for him done for nobody.
func repeated(m rpcMethod) rpcMethod {
	m.repeated = true
	return m
}

// since marks a method as one that came with a release.
func since(release messaging.Release, m rpcMethod) rpcMethod {
	m.since = release
	return m
}

// rpcMethods is everything that ironic-api and peers may call (reference/rpc.md §2).
func rpcMethods() map[string]rpcMethod {
	return map[string]rpcMethod{
		"create_node":                method((*Conductor).createNode),
		"update_node":                method((*Conductor).updateNode),
		"destroy_node":               method((*Conductor).destroyNode),
		"add_node_traits":            method((*Conductor).addNodeTraits),
		"remove_node_traits":         method((*Conductor).removeNodeTraits),
		"validate_driver_interfaces": reading(method((*Conductor).validateDriverInterfaces)),
		"get_driver_properties":      reading(method((*Conductor).getDriverProperties)),
		"get_node_with_token":        repeated(method((*Conductor).getNodeWithToken)),
		"heartbeat":                  method((*Conductor).heartbeatRPC),

		"object_class_action_versions": reading(method((*Conductor).objectClassAction)),
		"object_action":                method((*Conductor).objectAction),
		"object_backport_versions":     reading(method((*Conductor).objectBackport)),
		"get_runbook":                  since(messaging.V36_0, reading(method((*Conductor).getRunbook))),

		"create_port":  method((*Conductor).createPort),
		"update_port":  method((*Conductor).updatePort),
		"destroy_port": method((*Conductor).destroyPort),

		"vif_attach": method((*Conductor).vifAttach),
		"vif_detach": method((*Conductor).vifDetach),
		"vif_list":   reading(method((*Conductor).vifList)),

		"update_portgroup":                  method((*Conductor).updatePortgroup),
		"destroy_portgroup":                 method((*Conductor).destroyPortgroup),
		"update_portgroup_physical_network": since(messaging.V33_0, method((*Conductor).updatePortgroupPhysicalNetwork)),

		"update_volume_connector":  method((*Conductor).updateVolumeConnector),
		"destroy_volume_connector": method((*Conductor).destroyVolumeConnector),
		"update_volume_target":     method((*Conductor).updateVolumeTarget),
		"destroy_volume_target":    method((*Conductor).destroyVolumeTarget),

		"create_allocation":  method((*Conductor).createAllocation),
		"destroy_allocation": method((*Conductor).destroyAllocation),

		"change_node_power_state":    method((*Conductor).changeNodePowerState),
		"change_node_boot_mode":      method((*Conductor).changeNodeBootMode),
		"change_node_secure_boot":    method((*Conductor).changeNodeSecureBoot),
		"set_boot_device":            method((*Conductor).setBootDevice),
		"get_boot_device":            reading(method((*Conductor).getBootDevice)),
		"get_supported_boot_devices": reading(method((*Conductor).getSupportedBootDevices)),
		"inject_nmi":                 method((*Conductor).injectNMI),
		"get_supported_indicators":   reading(method((*Conductor).getSupportedIndicators)),
		"get_indicator_state":        reading(method((*Conductor).getIndicatorState)),
		"set_indicator_state":        method((*Conductor).setIndicatorState),

		"attach_virtual_media": since(messaging.V24_0, method((*Conductor).attachVirtualMedia)),
		"detach_virtual_media": since(messaging.V24_0, method((*Conductor).detachVirtualMedia)),
		"get_virtual_media":    since(messaging.V2024_2, reading(method((*Conductor).getVirtualMedia))),

		"set_console_mode":        method((*Conductor).setConsoleMode),
		"get_console_information": reading(method((*Conductor).getConsoleInformation)),

		"vendor_passthru":                    method((*Conductor).vendorPassthru),
		"driver_vendor_passthru":             method((*Conductor).driverVendorPassthru),
		"get_node_vendor_passthru_methods":   reading(method((*Conductor).getNodeVendorPassthruMethods)),
		"get_driver_vendor_passthru_methods": reading(method((*Conductor).getDriverVendorPassthruMethods)),

		"set_target_raid_config":           method((*Conductor).setTargetRAIDConfig),
		"get_raid_logical_disk_properties": reading(method((*Conductor).getRAIDLogicalDiskProperties)),

		"do_node_deploy":         method((*Conductor).doNodeDeploy),
		"do_node_tear_down":      method((*Conductor).doNodeTearDown),
		"do_provisioning_action": method((*Conductor).doProvisioningAction),
		"do_node_clean":          method((*Conductor).doNodeClean),
		"inspect_hardware":       method((*Conductor).inspectHardware),
		"continue_inspection":    since(messaging.V22_1, method((*Conductor).continueInspection)),
		"do_node_rescue":         method((*Conductor).doNodeRescue),
		"do_node_unrescue":       method((*Conductor).doNodeUnrescue),
		"do_node_service":        since(messaging.V2023_2, method((*Conductor).doNodeService)),
		"continue_node_deploy":   method((*Conductor).continueNodeDeploy),
		"continue_node_clean":    method((*Conductor).continueNodeClean),
		"continue_node_service":  since(messaging.V2023_2, method((*Conductor).continueNodeService)),
	}
}

// dispatch runs one request and returns what its caller is answered.
func (c *Conductor) dispatch(ctx context.Context, r *oslo.Request) (any, error) {
	if !oslo.Supports(c.cfg.Release.RPCVersion(), r.Version) || r.Namespace != "" {
		return nil, oslo.UnsupportedVersion(r.Version, r.Method)
	}
	m, ok := c.methods[r.Method]
	if !ok || c.cfg.Release < m.since {
		return nil, oslo.NoSuchMethod(r.Method)
	}
	if err := r.CheckArgs(m.required, m.optional); err != nil {
		return nil, err
	}
	began := c.now()
	// A request that comes while the database is away is refused before its caller gives up, with nothing done. One that is
	// caught in the middle waits, so that nothing is half done, and may outlast its caller.
	if err := c.db.Await(ctx, c.cfg.RequestPatience); err != nil {
		return nil, err
	}
	result, err := m.call(ctx, c, r)
	c.noteRequest(r, began, err)
	if err != nil {
		return nil, err
	}
	return result, nil
}

// encodable turns model values into their wire form, wherever a method returned them.
func (c *Conductor) encodable(result any) any {
	switch v := result.(type) {
	case *store.Node:
		return c.codec.EncodeNode(v)
	case *store.Port:
		return c.codec.EncodePort(v)
	case *store.Portgroup:
		return c.codec.EncodePortgroup(v)
	case *store.VolumeConnector:
		return c.codec.EncodeVolumeConnector(v)
	case *store.VolumeTarget:
		return c.codec.EncodeVolumeTarget(v)
	case *store.Allocation:
		return c.codec.EncodeAllocation(v)
	}
	return result
}

// answer sends the one reply that a call is owed, and tells the log how the request failed if it did.
func (c *Conductor) answer(ctx context.Context, m Message, r *oslo.Request, result any, err error) {
	switch {
	case err == nil:
		result = c.encodable(result)
	case !m.IsCall():
		c.log.Warn().Err(err).Str("method", r.Method).Msg("A cast failed")
	case store.KindOf(err) == "":
		c.log.Error().Err(err).Str("method", r.Method).Str("request_id", r.Context.RequestID).Msg("A request failed")
	default:
		c.log.Debug().Err(err).Str("method", r.Method).Str("request_id", r.Context.RequestID).Msg("A request was refused")
	}
	c.reply(ctx, m, r.Method, result, err)
}

// reply sends an answer. A caller that is gone is no failure of the work.
func (c *Conductor) reply(ctx context.Context, m Message, method string, result any, err error) {
	if sendErr := m.Reply(ctx, result, err); sendErr != nil {
		c.log.Warn().Err(sendErr).Str("method", method).Msg("The caller could not be answered")
	}
}
