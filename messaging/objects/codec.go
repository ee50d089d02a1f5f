// Package objects encodes and decodes ironic's versioned objects: the model's nodes and ports as they travel in requests,
// replies and notifications, at the versions of one ironic release and its pin.
package objects

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

const namespace = "ironic"

// Object is a versioned object in its primitive form.
type Object struct {
	Name      string         `json:"ironic_object.name"`
	Namespace string         `json:"ironic_object.namespace"`
	Version   string         `json:"ironic_object.version"`
	Data      map[string]any `json:"ironic_object.data"`
	Changes   []string       `json:"ironic_object.changes,omitempty"`
}

// NewPayload returns a notification's payload. Data may come from Fields.
func NewPayload(name, version string, data map[string]any) *Object {
	return &Object{Name: name, Namespace: namespace, Version: version, Data: data}
}

// Codec speaks the objects of one release.
type Codec struct {
	release, target messaging.Release
}

// New returns the codec of a worker that stands in for the given release. pin is [DEFAULT]pin_release_version, zero
// without one: objects are then written at the versions of that older release.
func New(release, pin messaging.Release) (*Codec, error) {
	if pin == 0 {
		pin = release
	}
	if pin > release {
		return nil, fmt.Errorf("pin_release_version %s is newer than ironic %s", pin, release)
	}
	return &Codec{release: release, target: pin}, nil
}

// Version returns the version at which an object is written, to the wire and into the column version: that of the pin, or this
// release's own for objects that the pin's release did not have; "" when this release does not have it either.
func (c *Codec) Version(object string) string {
	if pinned := Version(object, c.target); pinned != "" {
		return pinned
	}
	return Version(object, c.release)
}

// introduced tells in which minor version a field came. Fields that are not listed are older than every release spoken.
var introduced = map[string]map[string]int{
	"Allocation": {"owner": 1},
	"BIOSSetting": {"attribute_type": 1, "allowable_values": 1, "lower_bound": 1, "max_length": 1, "min_length": 1, "read_only": 1,
		"reset_required": 1, "unique": 1, "upper_bound": 1},
	"Conductor":         {"online": 4},
	"FirmwareComponent": {"vendor": 2, "model": 2, "serial_number": 2},
	"Node": {
		"rescue_interface": 22, "traits": 23, "bios_interface": 24, "fault": 25, "deploy_step": 26, "conductor_group": 27,
		"automated_clean": 28, "protected": 29, "protected_reason": 29, "owner": 30, "allocation_id": 31, "description": 32,
		"retired": 33, "retired_reason": 33, "lessee": 34, "network_data": 35, "boot_mode": 36, "secure_boot": 36, "shard": 37,
		"parent_node": 38, "firmware_interface": 39, "service_step": 40, "disable_power_off": 41, "instance_name": 43, "health": 44,
	},
	"NodeHistory": {"project": 2, "state": 3, "target_provision_state": 3, "duration_seconds": 3},
	"Port": {
		"is_smartnic": 9, "name": 10, "node_uuid": 11, "description": 12, "vendor": 13, "category": 15,
		"available_for_dynamic_portgroup": 16,
	},
	"Portgroup": {"node_uuid": 5, "physical_network": 7, "category": 8, "dynamic_portgroup": 9},
	"Runbook":   {"description": 2, "traits": 2},
}

// sticky fields stay on an object that is written at a version below theirs: ironic has no conversion rule for them.
var sticky = map[string][]string{
	"Conductor": {"online"}, "FirmwareComponent": {"vendor", "model", "serial_number"}, "Node": {"parent_node", "service_step"},
	"Port": {"node_uuid"}, "Portgroup": {"node_uuid"}, "Runbook": {"description", "traits"},
}

// EncodeNode returns the reply form of a node: every field of the target version.
func (c *Codec) EncodeNode(n *store.Node) *Object {
	o := c.encode("Node", n)
	c.addTraits(o, n)
	return o
}

// EncodePort returns the reply form of a port.
func (c *Codec) EncodePort(p *store.Port) *Object { return c.encode("Port", p) }

// EncodePortgroup returns the reply form of a port group.
func (c *Codec) EncodePortgroup(p *store.Portgroup) *Object { return c.encode("Portgroup", p) }

// EncodeVolumeConnector returns the reply form of a volume connector.
func (c *Codec) EncodeVolumeConnector(v *store.VolumeConnector) *Object {
	return c.encode("VolumeConnector", v)
}

// EncodeVolumeTarget returns the reply form of a volume target.
func (c *Codec) EncodeVolumeTarget(v *store.VolumeTarget) *Object { return c.encode("VolumeTarget", v) }

// EncodeAllocation returns the reply form of an allocation. Lists that are nil are null, as they are when upstream answers
// the request that creates it.
func (c *Codec) EncodeAllocation(a *store.Allocation) *Object { return c.encode("Allocation", a) }

func (c *Codec) encode(name string, model any) *Object {
	o := NewPayload(name, c.Version(name), Fields(model))
	own, target := minorOf(name, c.release), minorOf(name, c.target)
	if target < 0 {
		target = own
	}
	for field, since := range introduced[name] {
		if since > own || since > target && !slices.Contains(sticky[name], field) {
			delete(o.Data, field)
		}
	}
	return o
}

// addTraits puts a node's traits into an object that has that field.
func (c *Codec) addTraits(o *Object, n *store.Node) {
	if _, has := o.Data["traits"]; has {
		o.Data["traits"] = c.traitList(n)
	}
}

// traitList is not written at the pin's version: ironic converts the outer object of a reply only.
func (c *Codec) traitList(n *store.Node) *Object {
	traits := make([]*Object, len(n.Traits))
	for i, trait := range n.Traits {
		traits[i] = NewPayload("Trait", Version("Trait", c.release), map[string]any{
			"node_id": fmt.Sprint(n.ID), "trait": trait, "created_at": nil, "updated_at": nil,
		})
	}
	return NewPayload("TraitList", Version("TraitList", c.release), map[string]any{"objects": traits})
}

// Fields returns every field of a node or port, given by pointer, in wire encoding and regardless of versions. A node's
// traits are a plain list of names, as notification payloads want them.
func Fields(model any) map[string]any {
	v := reflect.ValueOf(model).Elem()
	data := map[string]any{}
	for _, f := range store.FieldsOf(v.Type()) {
		if f.Name != "version" {
			data[f.Name] = encodeField(v.Field(f.Index), f.NotNull)
		}
	}
	switch m := model.(type) {
	case *store.Node:
		data["traits"] = append([]string{}, m.Traits...)
	case *store.Port:
		data["node_uuid"] = encodeField(reflect.ValueOf(m.NodeUUID), false)
	case *store.Portgroup:
		data["node_uuid"] = encodeField(reflect.ValueOf(m.NodeUUID), false)
	}
	return data
}

// encodeField returns a field's JSON value. "" and the zero time stand for null, an absent object is {}.
func encodeField(v reflect.Value, notNull bool) any {
	switch x := v.Interface().(type) {
	case string:
		if x == "" && !notNull {
			return nil
		}
	case time.Time:
		return Time(x)
	case store.Dict:
		if x == nil {
			return store.Dict{}
		}
	case []string:
		if x == nil {
			return nil
		}
		return append([]string{}, x...)
	case []store.Dict:
		if x == nil {
			return nil
		}
		return append([]store.Dict{}, x...)
	}
	if v.Kind() == reflect.Pointer && v.IsNil() {
		return nil
	}
	return v.Interface()
}

// Time returns a moment in wire encoding: UTC in whole seconds with a Z, or null for the zero time.
func Time(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}
