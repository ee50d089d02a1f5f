package objects

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

// DecodeNode reads a node out of a request. changes are the fields that the sender wants written, sorted; everything else
// in the node may be stale.
func (c *Codec) DecodeNode(raw json.RawMessage) (n *store.Node, changes []string, err error) {
	p, err := c.parse(raw, "Node")
	if err != nil {
		return nil, nil, err
	}
	n = &store.Node{Version: p.version}
	if err := p.into(n, nil); err != nil {
		return nil, nil, err
	}
	if traits, ok := p.data["traits"]; ok && !isNull(traits) {
		if n.Traits, err = c.decodeTraits(traits); err != nil {
			return nil, nil, err
		}
	}
	return n, p.changes, nil
}

// DecodePort reads a port out of a request, as DecodeNode does a node.
func (c *Codec) DecodePort(raw json.RawMessage) (p *store.Port, changes []string, err error) {
	p = &store.Port{}
	changes, err = c.decode(raw, "Port", p, &p.Version, map[string]*string{"node_uuid": &p.NodeUUID})
	if err == nil {
		err = canonicalMAC(&p.Address)
	}
	if err != nil {
		return nil, nil, err
	}
	return p, changes, nil
}

// DecodePortgroup reads a port group out of a request, as DecodeNode does a node.
func (c *Codec) DecodePortgroup(raw json.RawMessage) (p *store.Portgroup, changes []string, err error) {
	p = &store.Portgroup{}
	changes, err = c.decode(raw, "Portgroup", p, &p.Version, map[string]*string{"node_uuid": &p.NodeUUID})
	if err == nil {
		err = canonicalMAC(&p.Address)
	}
	if err != nil {
		return nil, nil, err
	}
	return p, changes, nil
}

// DecodeVolumeConnector reads a volume connector out of a request, as DecodeNode does a node.
func (c *Codec) DecodeVolumeConnector(raw json.RawMessage) (*store.VolumeConnector, []string, error) {
	v := &store.VolumeConnector{}
	changes, err := c.decode(raw, "VolumeConnector", v, &v.Version, nil)
	return v, changes, err
}

// DecodeVolumeTarget reads a volume target out of a request, as DecodeNode does a node.
func (c *Codec) DecodeVolumeTarget(raw json.RawMessage) (*store.VolumeTarget, []string, error) {
	v := &store.VolumeTarget{}
	changes, err := c.decode(raw, "VolumeTarget", v, &v.Version, nil)
	return v, changes, err
}

// DecodeAllocation reads an allocation out of a request, as DecodeNode does a node.
func (c *Codec) DecodeAllocation(raw json.RawMessage) (*store.Allocation, []string, error) {
	a := &store.Allocation{}
	changes, err := c.decode(raw, "Allocation", a, &a.Version, nil)
	return a, changes, err
}

// decode fills a model from an object of the given name. extra are fields outside of the table.
func (c *Codec) decode(raw json.RawMessage, name string, model any, version *string, extra map[string]*string) (changes []string, err error) {
	p, err := c.parse(raw, name)
	if err != nil {
		return nil, err
	}
	*version = p.version
	if err := p.into(model, extra); err != nil {
		return nil, err
	}
	return p.changes, nil
}

// canonicalMAC refuses what is no MAC address; none at all is fine.
func canonicalMAC(address *string) error {
	if *address == "" {
		return nil
	}
	mac, err := net.ParseMAC(*address)
	if err != nil || len(mac) != 6 || len(*address) != 17 || strings.ContainsAny(*address, "-.") {
		return store.Errorf(store.InvalidMAC, "Expected a MAC address but received %s.", *address)
	}
	*address = mac.String()
	return nil
}

// primitive is an object whose envelope was found good.
type primitive struct {
	name, version string
	data          map[string]json.RawMessage
	changes       []string
}

// parse checks namespace, name and version. Errors carry the names of ironic's own exceptions.
func (c *Codec) parse(raw json.RawMessage, want string) (*primitive, error) {
	var outer map[string]json.RawMessage
	if json.Unmarshal(raw, &outer) != nil || outer == nil {
		return nil, store.Errorf(store.InvalidParameterValue, "Expected a %s object but received something else.", want)
	}
	p := &primitive{}
	var space string
	for _, part := range []struct {
		key  string
		into any
		need bool
	}{
		{"name", &p.name, true}, {"namespace", &space, true}, {"version", &p.version, true}, {"data", &p.data, true},
		{"changes", &p.changes, false},
	} {
		text, ok := outer["ironic_object."+part.key]
		if !ok && part.need {
			return nil, store.Errorf(store.InvalidParameterValue, "ironic_object.%s of a %s object is missing.", part.key, want)
		}
		if ok && json.Unmarshal(text, part.into) != nil {
			return nil, store.Errorf(store.InvalidParameterValue, "ironic_object.%s of a %s object has a wrong type.", part.key, want)
		}
	}
	switch {
	case space != namespace:
		return nil, store.Errorf(store.UnsupportedObjectError, "Unsupported object type %s.%s", space, p.name)
	case minorOf(p.name, c.release) < 0:
		return nil, store.Errorf(store.UnsupportedObjectError, "Unsupported object type %s", p.name)
	case p.name != want:
		return nil, store.Errorf(store.InvalidParameterValue, "Expected a %s object but received a %s object.", want, p.name)
	}
	if err := c.accept(p); err != nil {
		return nil, err
	}
	p.keepKnownChanges()
	return p, nil
}

// accept holds an object's version against the highest that this worker knows. A third part of the version is ignored.
func (c *Codec) accept(p *primitive) error {
	own := minorOf(p.name, c.release)
	major, rest, _ := strings.Cut(p.version, ".")
	text, _, _ := strings.Cut(rest, ".")
	minor, err := strconv.ParseUint(text, 10, 16)
	if err != nil || major != "1" || int(minor) > own {
		return store.Errorf(store.IncompatibleObjectVersion, "Version %s of %s is not supported, supported version is %s",
			p.version, p.name, Version(p.name, c.release))
	}
	p.version = fmt.Sprintf("1.%d", minor)
	return nil
}

func (p *primitive) keepKnownChanges() {
	p.changes = slices.DeleteFunc(p.changes, func(name string) bool { _, ok := p.data[name]; return !ok })
	slices.Sort(p.changes)
	p.changes = slices.Compact(p.changes)
}

// into fills the tagged fields of a model from the data; unknown keys are ignored, and no longer count as changes. extra
// are fields outside of the table.
func (p *primitive) into(model any, extra map[string]*string) error {
	v := reflect.ValueOf(model).Elem()
	known := map[string]bool{"traits": true}
	for _, f := range store.FieldsOf(v.Type()) {
		if f.Name == "version" {
			continue
		}
		known[f.Name] = true
		raw, ok := p.data[f.Name]
		if !ok {
			continue
		}
		if problem := decodeField(v.Field(f.Index), raw, f.NotNull); problem != "" {
			return p.wrong(f.Name, problem)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		known[name] = true
		if raw, ok := p.data[name]; ok {
			if problem := decodeField(reflect.ValueOf(extra[name]).Elem(), raw, false); problem != "" {
				return p.wrong(name, problem)
			}
		}
	}
	p.changes = slices.DeleteFunc(p.changes, func(name string) bool { return !known[name] })
	return nil
}

// wrong names object and field. It never quotes the value, which may be a password.
func (p *primitive) wrong(field, problem string) error {
	return store.Errorf(store.InvalidParameterValue, "Field %s of %s %s.", field, p.name, problem)
}

// decodeField sets one field and returns what is wrong with the value, "" when nothing is.
func decodeField(v reflect.Value, raw json.RawMessage, notNull bool) (problem string) {
	if isNull(raw) {
		return decodeNull(v, notNull)
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch x := v.Addr().Interface().(type) {
	case *string:
		return decodeText(x, raw)
	case *int64:
		n, err := strconv.ParseInt(strings.Trim(string(raw), `"`), 10, 64)
		if err != nil {
			return "is not a whole number"
		}
		*x = n
	case *bool:
		if json.Unmarshal(raw, x) != nil {
			return "is not a boolean"
		}
	case *time.Time:
		var text string
		if json.Unmarshal(raw, &text) != nil {
			return "is not a date and time"
		}
		return decodeTime(x, text)
	case *store.Dict:
		if !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) {
			return "is not an object"
		}
		d, err := store.ParseDict(raw)
		if err != nil {
			return "is not an object"
		}
		*x = d
	case *[]string:
		return decodeTexts(x, raw)
	case *[]store.Dict:
		return decodeObjects(x, raw)
	default:
		return fmt.Sprintf("has a type that is never received (%s)", v.Type())
	}
	return ""
}

func decodeNull(v reflect.Value, notNull bool) (problem string) {
	switch v.Interface().(type) {
	case int64, bool:
		return "cannot be null"
	case store.Dict:
		v.Set(reflect.ValueOf(store.Dict{}))
		return ""
	}
	if notNull {
		return "cannot be null"
	}
	v.SetZero()
	return ""
}

// decodeText takes numbers too, which ironic's string fields turn into text.
func decodeText(into *string, raw json.RawMessage) (problem string) {
	var value any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if dec.Decode(&value) != nil {
		return "is not a string"
	}
	switch x := value.(type) {
	case string:
		*into = x
	case json.Number:
		*into = x.String()
	default:
		return "is not a string"
	}
	return ""
}

func decodeTexts(into *[]string, raw json.RawMessage) (problem string) {
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil {
		return "is not a list"
	}
	texts := make([]string, len(items))
	for i := range items {
		if decodeText(&texts[i], items[i]) != "" {
			return "is not a list of strings"
		}
	}
	*into = texts
	return ""
}

func decodeObjects(into *[]store.Dict, raw json.RawMessage) (problem string) {
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil {
		return "is not a list"
	}
	all := make([]store.Dict, len(items))
	for i := range items {
		if decodeField(reflect.ValueOf(&all[i]).Elem(), items[i], true) != "" {
			return "is not a list of objects"
		}
	}
	*into = all
	return ""
}

// timeLayouts are the forms of ISO 8601 that Python services send; a time without zone is UTC.
var timeLayouts = []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05",
	"2006-01-02T15:04:05Z0700"}

func decodeTime(into *time.Time, text string) (problem string) {
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			*into = t.UTC()
			return ""
		}
	}
	return "is not a date and time"
}

func (c *Codec) decodeTraits(raw json.RawMessage) ([]string, error) {
	list, err := c.parse(raw, "TraitList")
	if err != nil {
		return nil, err
	}
	var items []json.RawMessage
	if json.Unmarshal(list.data["objects"], &items) != nil {
		return nil, list.wrong("objects", "is not a list")
	}
	traits := make([]string, 0, len(items))
	for _, item := range items {
		one, err := c.parse(item, "Trait")
		if err != nil {
			return nil, err
		}
		var name string
		if problem := decodeText(&name, one.data["trait"]); problem != "" {
			return nil, one.wrong("trait", problem)
		}
		traits = append(traits, name)
	}
	slices.Sort(traits)
	return traits, nil
}

func isNull(raw json.RawMessage) bool { return string(bytes.TrimSpace(raw)) == "null" }
