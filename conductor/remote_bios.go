package conductor

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/ironmaster/ironmaster/messaging/objects"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// BIOS settings, and lists of them, as others read and write them.
var (
	biosClass = remoteClass{methods: map[string]remoteMethod{
		"get":    {params: []string{"node_id", "name"}, required: 2, run: biosSetting},
		"delete": {params: []string{"node_id", "name"}, required: 2, run: deleteBIOSSetting},
	}, actions: map[string]remoteAction{"create": createBIOSSetting, "save": saveBIOSSetting}}
	biosListClass = remoteClass{methods: map[string]remoteMethod{
		"get_by_node_id":    {params: []string{"node_id"}, required: 1, run: listBIOSSettings},
		"create":            {params: []string{"node_id", "settings"}, required: 2, run: createBIOSSettings},
		"save":              {params: []string{"node_id", "settings"}, required: 2, run: saveBIOSSettings},
		"delete":            {params: []string{"node_id", "names"}, required: 2, run: deleteBIOSSettings},
		"sync_node_setting": {params: []string{"node_id", "settings"}, required: 2, run: compareBIOSSettings},
	}}
)

// biosSettingsOf reads all settings of a node, by name.
func biosSettingsOf(ctx context.Context, c *Conductor, n *store.Node) ([]*store.BIOSSetting, error) {
	return c.db.BIOSSettings(ctx, n.ID)
}

// named are the settings with some names, in the order of the names.
func named(all []*store.BIOSSetting, names []string) []*store.BIOSSetting {
	var found []*store.BIOSSetting
	for _, name := range names {
		for _, one := range all {
			if one.Name == name {
				found = append(found, one)
			}
		}
	}
	return found
}

func biosSetting(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
	n, name, err := a.partOf(ctx, c)
	if err != nil {
		return nil, err
	}
	all, err := biosSettingsOf(ctx, c, n)
	if err != nil {
		return nil, err
	}
	found := named(all, []string{name})
	if len(found) == 0 {
		return nil, sql.NoBIOSSetting(n.ID, name)
	}
	return c.codec.EncodeAt("BIOSSetting", a.version, found[0]), nil
}

func deleteBIOSSetting(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
	n, name, err := a.partOf(ctx, c)
	if err != nil {
		return nil, err
	}
	return nil, c.db.DeleteBIOSSettings(ctx, n.ID, []string{name})
}

func listBIOSSettings(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
	n, err := a.nodeOf(ctx, c)
	if err != nil {
		return nil, err
	}
	all, err := biosSettingsOf(ctx, c, n)
	if err != nil {
		return nil, err
	}
	return encodeList(c, a, "BIOSSettingList", "BIOSSetting", all), nil
}

// settingsArg reads the settings of a list, which are plain objects with the fields of BIOSSetting.
func (a boundArgs) settingsArg() (settings []store.BIOSSetting, names []string, err error) {
	var sent []map[string]json.RawMessage
	if err := a.read("settings", &sent); err != nil {
		return nil, nil, err
	}
	for _, data := range sent {
		for _, key := range []string{"name", "value"} {
			if _, given := data[key]; !given {
				return nil, nil, oslo.KeyError(key)
			}
		}
		var one store.BIOSSetting
		if err := (&objects.Sent{Name: "BIOSSetting", Data: data}).Into(&one); err != nil {
			return nil, nil, err
		}
		settings, names = append(settings, one), append(names, one.Name)
	}
	return settings, names, nil
}

func createBIOSSettings(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
	return c.writeBIOSSettings(ctx, a, c.db.CreateBIOSSettings)
}

func saveBIOSSettings(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
	return c.writeBIOSSettings(ctx, a, c.db.UpdateBIOSSettings)
}

func (c *Conductor) writeBIOSSettings(ctx context.Context, a boundArgs,
	write func(context.Context, int64, []store.BIOSSetting) error) (any, error) {
	n, err := a.nodeOf(ctx, c)
	if err != nil {
		return nil, err
	}
	settings, names, err := a.settingsArg()
	if err != nil {
		return nil, err
	}
	if err := write(ctx, n.ID, settings); err != nil {
		return nil, err
	}
	all, err := biosSettingsOf(ctx, c, n)
	if err != nil {
		return nil, err
	}
	written := named(all, names)
	for _, one := range written {
		for _, sent := range settings {
			asSent(one, &sent)
		}
	}
	return encodeList(c, a, "BIOSSettingList", "BIOSSetting", written), nil
}

func deleteBIOSSettings(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
	var names []string
	if err := a.read("names", &names); err != nil {
		return nil, err
	}
	n, err := a.nodeOf(ctx, c)
	if err != nil {
		return nil, err
	}
	return nil, c.db.DeleteBIOSSettings(ctx, n.ID, names)
}

// compareBIOSSettings tells which of some settings are new, which have another value than those stored, which are stored only, and
// which are as they are stored.
func compareBIOSSettings(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
	n, err := a.nodeOf(ctx, c)
	if err != nil {
		return nil, err
	}
	var settings []map[string]any
	if err := a.read("settings", &settings); err != nil {
		return nil, err
	}
	stored, err := biosSettingsOf(ctx, c, n)
	if err != nil {
		return nil, err
	}
	fresh, changed, gone, same := []any{}, []any{}, []any{}, []any{}
	var names []string
	for _, one := range settings {
		name, ok := one["name"].(string)
		if !ok {
			return nil, oslo.KeyError("name")
		}
		names = append(names, name)
		found := named(stored, []string{name})
		value, given := one["value"]
		switch {
		case len(found) == 0:
			fresh = append(fresh, one)
		case !given:
			return nil, oslo.KeyError("value")
		case hasValue(found[0], value):
			same = append(same, one)
		default:
			changed = append(changed, one)
		}
	}
	for _, one := range stored {
		if !slices.Contains(names, one.Name) {
			gone = append(gone, map[string]any{"name": one.Name, "value": one.Value})
		}
	}
	return []any{fresh, changed, gone, same}, nil
}

// hasValue tells whether a setting has the value that a caller gives.
func hasValue(one *store.BIOSSetting, value any) bool {
	if one.Value == nil {
		return value == nil
	}
	return value == *one.Value
}

// asSent gives a setting the list that its caller sent: one that was not given is null in the answer, and empty from then on.
func asSent(written, sent *store.BIOSSetting) {
	if written.Name == sent.Name && sent.AllowableValues == nil {
		written.AllowableValues = nil
	}
}

// createBIOSSetting notes a setting that its caller made.
func createBIOSSetting(ctx context.Context, c *Conductor, sent *objects.Sent) (map[string]any, error) {
	return c.writeBIOSSetting(ctx, sent, c.db.CreateBIOSSettings)
}

// saveBIOSSetting writes a setting. What its caller did not change is forgotten, as by ironic, but for the name and the value, without
// which the request fails.
func saveBIOSSetting(ctx context.Context, c *Conductor, sent *objects.Sent) (map[string]any, error) {
	return c.writeBIOSSetting(ctx, sent, c.db.UpdateBIOSSettings)
}

func (c *Conductor) writeBIOSSetting(ctx context.Context, sent *objects.Sent,
	write func(context.Context, int64, []store.BIOSSetting) error) (map[string]any, error) {
	for _, key := range []string{"name", "value", "node_id"} {
		if !slices.Contains(sent.Changes, key) {
			return nil, oslo.KeyError(key)
		}
	}
	var whole, changed store.BIOSSetting
	if err := sent.Into(&whole); err != nil {
		return nil, err
	}
	store.CopyFields(&changed, &whole, sent.Changes)
	n, err := sentNode(ctx, c, sent)
	if err != nil {
		return nil, err
	}
	if err := write(ctx, n.ID, []store.BIOSSetting{changed}); err != nil {
		return nil, err
	}
	all, err := biosSettingsOf(ctx, c, n)
	if err != nil {
		return nil, err
	}
	found := named(all, []string{changed.Name})
	if len(found) == 0 {
		return nil, sql.NoBIOSSetting(n.ID, changed.Name)
	}
	asSent(found[0], &changed)
	return c.codec.EncodeAt("BIOSSetting", "", found[0]).Data, nil
}
