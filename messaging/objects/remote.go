package objects

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// Encode returns the reply form of any model that is an object of the name: every field of the target version.
func (c *Codec) Encode(name string, model any) *Object {
	o := c.encode(name, model)
	return c.complete(o, model)
}

// EncodeAt returns an object for somebody who asked for it at a version (object_class_action_versions): every field that this
// release has, under that version's number, but for the few that ironic has a rule for. Without a version it is the release's own.
func (c *Codec) EncodeAt(name, version string, model any) *Object {
	unpinned := Codec{release: c.release, target: c.release}
	o := unpinned.Encode(name, model)
	o.Version = version
	if version != "" {
		for _, field := range laterFields(name, version) {
			delete(o.Data, field)
		}
	}
	return o
}

// Within gives the traits inside of a node the versions that their receiver knows, by class.
func Within(o *Object, versions map[string]string) *Object {
	list, ok := o.Data["traits"].(*Object)
	if !ok {
		return o
	}
	list.Version = cmp.Or(versions[list.Name], list.Version)
	for _, trait := range list.Data["objects"].([]*Object) {
		trait.Version = cmp.Or(versions[trait.Name], trait.Version)
	}
	return o
}

// complete adds what is no column of the object's own table, and gives numbers that are texts their form.
func (c *Codec) complete(o *Object, model any) *Object {
	switch m := model.(type) {
	case *store.Node:
		c.addTraits(o, m)
	case *store.BIOSSetting, *store.Trait:
		o.Data["node_id"] = fmt.Sprint(o.Data["node_id"])
	}
	return o
}

// Own is the version that is asked for, or, without one, the release's own.
func (c *Codec) Own(name, version string) string {
	if version != "" {
		return version
	}
	return Version(name, c.release)
}

// List returns an object of a class that is nothing but a list of others.
func (c *Codec) List(name, version string, elements []*Object) *Object {
	return NewPayload(name, version, map[string]any{"objects": elements})
}

// Accepts tells whether the object exists at the version in this release, as a failure of ironic's when it does not.
func (c *Codec) Accepts(name, version string) error {
	if minorOf(name, c.release) < 0 {
		return store.Errorf(store.UnsupportedObjectError, "Unsupported object type %s", name)
	}
	return c.accept(&primitive{name: name, version: version})
}

// Sent is an object as a caller sent it.
type Sent struct {
	Name    string
	Data    map[string]json.RawMessage
	Changes []string
}

// DecodeSent reads an object of any class.
func (c *Codec) DecodeSent(raw json.RawMessage) (*Sent, error) {
	var head struct {
		Name string `json:"ironic_object.name"`
	}
	if err := json.Unmarshal(raw, &head); err != nil || head.Name == "" {
		return nil, store.Errorf(store.InvalidParameterValue, "Expected a versioned object but received something else.")
	}
	p, err := c.parse(raw, head.Name)
	if err != nil {
		return nil, err
	}
	return &Sent{Name: p.name, Data: p.data, Changes: p.changes}, nil
}

// Has tells whether a field was sent.
func (s *Sent) Has(field string) bool { _, sent := s.Data[field]; return sent }

// Into fills a model from the object, whose class it must be of.
func (s *Sent) Into(model any) error {
	extra := map[string]*string{}
	switch m := model.(type) {
	case *store.Port:
		extra["node_uuid"] = &m.NodeUUID
	case *store.Portgroup:
		extra["node_uuid"] = &m.NodeUUID
	}
	p := &primitive{name: s.Name, data: s.Data, changes: s.Changes}
	return p.into(model, extra)
}

// Backport returns an object that was sent at the version that its sender wants, with all it had.
func (c *Codec) Backport(raw json.RawMessage, version string) (map[string]json.RawMessage, error) {
	sent, err := c.DecodeSent(raw)
	if err != nil {
		return nil, err
	}
	if err := c.accept(&primitive{name: sent.Name, version: version}); err != nil {
		return nil, store.Errorf(store.InvalidTargetVersion, "Invalid target version %s", version)
	}
	var outer map[string]json.RawMessage
	if err := json.Unmarshal(raw, &outer); err != nil {
		return nil, fmt.Errorf("reading an object: %w", err)
	}
	outer["ironic_object.version"] = json.RawMessage(strconv.Quote(version))
	data := maps.Clone(sent.Data)
	for _, field := range laterFields(sent.Name, version) {
		delete(data, field)
	}
	text, err := json.Marshal(data)
	if err != nil {
		return nil, fmt.Errorf("writing an object: %w", err)
	}
	outer["ironic_object.data"] = text
	if len(sent.Changes) == 0 {
		delete(outer, "ironic_object.changes")
	}
	return outer, nil
}

// laterFields are those that ironic takes from the two classes with such a rule (obj_make_compatible), below a version.
func laterFields(name, version string) []string {
	_, text, _ := strings.Cut(version, ".")
	minor, err := strconv.Atoi(text)
	if err != nil || minor >= 2 {
		return nil
	}
	switch name {
	case "FirmwareComponent":
		return []string{"vendor", "model", "serial_number"}
	case "Runbook":
		return []string{"description", "traits"}
	}
	return nil
}
