package conductor

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/catalog"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

type nodeObjArgs struct {
	Node            json.RawMessage `json:"node_obj" python:"object,uuid"`
	ResetInterfaces bool            `json:"reset_interfaces,omitempty"`
}

type createNodeArgs struct {
	Node json.RawMessage `json:"node_obj" python:"object,uuid"`
}

func (c *Conductor) createNode(ctx context.Context, _ oslo.Context, a createNodeArgs) (any, error) {
	node, _, err := c.codec.DecodeNode(a.Node)
	if err != nil {
		return nil, err
	}
	if _, err := c.hardware.Fill(node); err != nil {
		return nil, err
	}
	if err := c.checkNamed(a.Node); err != nil {
		return nil, err
	}
	if err := c.checkNodeValues(node); err != nil {
		return nil, err
	}
	if node.ProvisionState == "" {
		node.ProvisionState = store.Enroll
	}
	if err := c.db.CreateNode(ctx, node); err != nil {
		return nil, err
	}
	return node, nil
}

// checkNamed refuses an interface that the node of a request names with an empty text, which nothing is called. A row has no such name,
// and takes it for none.
func (c *Conductor) checkNamed(raw json.RawMessage) error {
	var node struct {
		Data map[string]json.RawMessage `json:"ironic_object.data"`
	}
	if err := json.Unmarshal(raw, &node); err != nil {
		return fmt.Errorf("reading the interfaces of a node: %w", err)
	}
	for _, typ := range c.interfaceTypes() {
		if string(node.Data[string(typ)+"_interface"]) != `""` {
			continue
		}
		if _, err := c.hardware.Catalog.Lookup(typ, ""); err != nil {
			return err
		}
	}
	return nil
}

// currentState ends the refusal of an update on newer releases.
func (c *Conductor) currentState(n *store.Node) string {
	if c.cfg.Release <= messaging.V2025_2 {
		return ""
	}
	return fmt.Sprintf(" Current state is '%s'.", n.ProvisionState)
}

// checkNodeValues holds a node against the rules of ironic's object layer; it lower-cases the conductor group.
func (c *Conductor) checkNodeValues(n *store.Node) error {
	var bad []string
	for _, key := range []string{"local_gb", "cpus", "memory_mb"} {
		if key == "cpus" && c.cfg.Release >= messaging.V22_0 {
			continue // Newer releases do not look at it any more.
		}
		value, ok := n.Properties[key]
		if !ok || value == nil {
			continue
		}
		if !store.PythonNatural(value) {
			bad = append(bad, key+"="+store.PythonText(value))
		}
	}
	if len(bad) > 0 {
		return store.Errorf(store.InvalidParameterValue, "The following properties for node %s should be non-negative "+
			"integers, but provided values are: %s", n.UUID, strings.Join(bad, ", "))
	}
	if !validConductorGroup(n.ConductorGroup) {
		return store.Errorf(store.InvalidConductorGroup, "Expected a conductor group but received %s.", n.ConductorGroup)
	}
	n.ConductorGroup = strings.ToLower(n.ConductorGroup)
	return nil
}

// validConductorGroup follows ironic: letters, digits, underscores, dashes and dots, at most 255.
func validConductorGroup(group string) bool {
	return len(group) <= 255 && !strings.ContainsFunc(group, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-.", r))
	})
}

// interfaceUpdateStates are the states in which a node's interfaces may change.
var interfaceUpdateStates = []string{store.Enroll, store.Inspecting, store.InspectWait, store.Manageable,
	store.Available}

// patch is a node as the API wants it, with the names of the fields that it changed.
type patch struct {
	node    *store.Node
	changes []string
}

func (p *patch) changed(field string) bool { return slices.Contains(p.changes, field) }

func (p *patch) add(field string) {
	if !p.changed(field) {
		p.changes = append(p.changes, field)
	}
}

func (c *Conductor) updateNode(ctx context.Context, rq oslo.Context, a nodeObjArgs) (any, error) {
	node, changes, err := c.codec.DecodeNode(a.Node)
	if err != nil {
		return nil, err
	}
	p := &patch{node: node, changes: changes}
	if p.changed("maintenance") && !node.Maintenance {
		node.MaintenanceReason, node.Fault = nil, ""
		p.add("maintenance_reason")
		p.add("fault")
	}
	p.dropOwnParent()
	if err := p.checkProtected(); err != nil {
		return nil, err
	}
	if err := p.checkRetired(); err != nil {
		return nil, err
	}
	if err := c.fillInterfaces(p, a.ResetInterfaces); err != nil {
		return nil, err
	}
	if err := c.checkNamed(a.Node); err != nil {
		return nil, err
	}
	err = c.withNode(ctx, rq, node.UUID, lockMode{purpose: "node update", noDriver: true},
		func(ctx context.Context, t *task) error {
			if err := t.apply(ctx, p); err != nil {
				return err
			}
			node = t.Node
			return nil
		})
	return node, err
}

// dropOwnParent ignores a node that is to become its own parent. ironic-api 29.0.5 of Debian 13 asks for that with every
// PATCH that leaves the parent alone, and such a node would be missing from every list of nodes.
func (p *patch) dropOwnParent() {
	if p.node.ParentNode == p.node.UUID {
		p.changes = slices.DeleteFunc(p.changes, func(field string) bool { return field == "parent_node" })
	}
}

func (p *patch) checkProtected() error {
	n := p.node
	if p.changed("protected") {
		if !n.Protected {
			n.ProtectedReason = nil
			p.add("protected_reason")
		} else if n.ProvisionState != store.Active && n.ProvisionState != store.Rescue {
			return store.Errorf(store.InvalidState, "Node %s can only be made protected in provision states 'active' or "+
				"'rescue', the current state is '%s'", n.UUID, n.ProvisionState)
		}
	}
	if p.changed("protected_reason") && n.ProtectedReason != nil && *n.ProtectedReason != "" && !n.Protected {
		return store.Errorf(store.InvalidParameterValue,
			"The protected_reason field can only be set when protected is True")
	}
	return nil
}

func (p *patch) checkRetired() error {
	n := p.node
	retired := n.Retired != nil && *n.Retired
	if p.changed("retired") {
		if !retired {
			n.RetiredReason = nil
			p.add("retired_reason")
		} else if n.ProvisionState == store.Available {
			return store.Errorf(store.InvalidState, "Node %s can not have 'retired' set in provision state 'available', "+
				"the current state is '%s'", n.UUID, n.ProvisionState)
		}
	}
	if p.changed("retired_reason") && n.RetiredReason != nil && *n.RetiredReason != "" && !retired {
		return store.Errorf(store.InvalidParameterValue, "The retired_reason field can only be set when retired is True")
	}
	return nil
}

// fillInterfaces checks changed interfaces and computes those that a change of the driver leaves open.
func (c *Conductor) fillInterfaces(p *patch, reset bool) error {
	driver := p.changed("driver")
	check := driver
	for _, typ := range c.interfaceTypes() {
		field := string(typ) + "_interface"
		if !p.changed(field) {
			if driver && reset {
				*catalog.Field(p.node, typ) = ""
			}
			continue
		}
		if !slices.Contains(interfaceUpdateStates, p.node.ProvisionState) && !p.node.Maintenance {
			return store.Errorf(store.InvalidState, "Node %s can not have %s updated unless it is in one of allowed (%s) "+
				"states or in maintenance mode.%s", p.node.UUID, field, strings.Join(interfaceUpdateStates, ", "),
				c.currentState(p.node))
		}
		check = true
	}
	if !check {
		return nil
	}
	if _, err := c.hardware.Fill(p.node); err != nil {
		return err
	}
	for _, typ := range c.interfaceTypes() {
		p.add(string(typ) + "_interface")
	}
	return nil
}

// interfaceTypes are those that the release's nodes have a field for.
func (c *Conductor) interfaceTypes() []drivers.InterfaceType {
	types := []drivers.InterfaceType{drivers.TypeBIOS, drivers.TypeBoot, drivers.TypeConsole, drivers.TypeDeploy,
		drivers.TypeInspect, drivers.TypeManagement, drivers.TypeNetwork, drivers.TypePower, drivers.TypeRAID,
		drivers.TypeRescue, drivers.TypeStorage, drivers.TypeVendor}
	if c.hasFirmware() {
		types = append(types, drivers.TypeFirmware)
	}
	return types
}

// apply carries the patch over to the locked row, within what the row's present state allows.
func (t *task) apply(ctx context.Context, p *patch) error {
	now := t.Node
	if p.changed("instance_uuid") && p.node.InstanceUUID != "" && now.InstanceUUID != "" {
		return store.Errorf(store.NodeAssociated, "Node %s is associated with instance %s.", now.UUID, now.InstanceUUID)
	}
	allowed := slices.Contains(interfaceUpdateStates, now.ProvisionState)
	if p.changed("resource_class") && now.ResourceClass != nil && *now.ResourceClass != "" && !allowed {
		return store.Errorf(store.InvalidState, "Node %s can not have resource_class updated unless it is in one of "+
			"allowed (%s) states.%s", now.UUID, strings.Join(interfaceUpdateStates, ", "), t.c.currentState(now))
	}
	if p.changed("instance_uuid") && now.AllocationID != nil && p.node.InstanceUUID == "" {
		if !now.Maintenance && !allowed {
			return store.Errorf(store.InvalidState, "Node %s with an allocation can not have instance_uuid removed unless "+
				"it is in one of allowed (%s) states or in maintenance mode.%s", now.UUID,
				strings.Join(interfaceUpdateStates, ", "), t.c.currentState(now))
		}
		if err := t.c.db.DestroyAllocation(ctx, now, t.guard()); err != nil {
			return err
		}
	}
	changed := *t.Node
	store.CopyFields(&changed, p.node, p.changes)
	if err := t.c.checkNodeValues(&changed); err != nil {
		return err
	}
	if changed.DeployInterface != now.DeployInterface {
		// What an operator sets stays: the next cleaning brings no other one back.
		changed.DriverInternalInfo = changed.DriverInternalInfo.Clone()
		delete(changed.DriverInternalInfo, keyOriginalDeploy)
	}
	t.Node = &changed
	return t.save(ctx)
}

func (c *Conductor) destroyNode(ctx context.Context, rq oslo.Context, a nodeArgs) (any, error) {
	return nil, c.withNode(ctx, rq, a.NodeID, lockMode{purpose: "node deletion", noDriver: true},
		func(ctx context.Context, t *task) error {
			if err := t.mayDestroy(); err != nil {
				return err
			}
			if err := t.closeConsole(ctx); err != nil {
				return err
			}
			if err := t.c.db.DestroyNode(ctx, t.Node, t.guard()); err != nil {
				return err
			}
			t.forget()
			return nil
		})
}

// forget drops what the worker remembers of a node that is gone.
func (t *task) forget() {
	t.c.powerCounts.set(t.Node.UUID, 0)
	t.c.progress.drop(t.Node.UUID)
	t.c.strayBeats.forget(t.Node.UUID)
	_, _ = t.c.postponed.take(t.Node.UUID)
	if err := t.c.local.Forget(t.Node.UUID); err != nil {
		t.Log.Error().Err(err).Msg("Forgetting the journal of a deleted node failed")
	}
}

func (t *task) mayDestroy() error {
	node := t.Node
	if !node.Maintenance && node.InstanceUUID != "" {
		return store.Errorf(store.NodeAssociated, "Node %s is associated with instance %s.", node.UUID, node.InstanceUUID)
	}
	if node.Protected {
		return nodeProtected(node)
	}
	allowed := []string{store.Manageable, store.Enroll, store.AdoptFail}
	if t.c.live().AllowDeletingAvailableNodes {
		allowed = append(allowed, store.Available)
	}
	if node.Maintenance || slices.Contains(allowed, node.ProvisionState) {
		return nil
	}
	return store.Errorf(store.InvalidState, `Can not delete node "%s" while it is in provision state "%s". Valid provision `+
		`states to perform deletion are: "('%s')", or set the node into maintenance mode`, node.UUID, node.ProvisionState,
		strings.Join(allowed, "', '"))
}

type addTraitsArgs struct {
	NodeID  string `json:"node_id"`
	Traits  any    `json:"traits"`
	Replace bool   `json:"replace,omitempty"`
}

func (c *Conductor) addNodeTraits(ctx context.Context, rq oslo.Context, a addTraitsArgs) (any, error) {
	return nil, c.withNode(ctx, rq, a.NodeID, lockMode{purpose: "add node traits"},
		func(ctx context.Context, t *task) error {
			traits, err := textsOf(a.Traits)
			if err != nil {
				return err
			}
			if a.Replace {
				return t.c.db.SetTraits(ctx, t.Node, t.guard(), traits)
			}
			return t.c.db.AddTraits(ctx, t.Node, t.guard(), traits)
		})
}

type removeTraitsArgs struct {
	NodeID string `json:"node_id"`
	// Traits is nil to remove all of them.
	Traits any `json:"traits"`
}

func (c *Conductor) removeNodeTraits(ctx context.Context, rq oslo.Context, a removeTraitsArgs) (any, error) {
	return nil, c.withNode(ctx, rq, a.NodeID, lockMode{purpose: "remove node traits"},
		func(ctx context.Context, t *task) error {
			if a.Traits == nil {
				return t.c.db.SetTraits(ctx, t.Node, t.guard(), nil)
			}
			traits, err := textsOf(a.Traits)
			if err != nil {
				return err
			}
			return t.c.db.RemoveTraits(ctx, t.Node, t.guard(), traits)
		})
}
