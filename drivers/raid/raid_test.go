package raid

import (
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

// testdata/validation.json is what ironic 21.4 with jsonschema 4.10.3 says of each configuration.
func TestConfigurationsAreCheckedAsIronicDoes(t *testing.T) {
	text, err := os.ReadFile("testdata/validation.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Config json.RawMessage
		Error  *string
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	s := NewSchema()
	for _, c := range cases {
		config, err := store.ParseDict(c.Config)
		if err != nil {
			t.Fatal(err)
		}
		err = s.Validate(config)
		switch {
		case (err == nil) != (c.Error == nil):
			t.Errorf("%s: %v", c.Config, err)
		case err != nil && (err.Error() != *c.Error || store.KindOf(err) != store.InvalidParameterValue):
			t.Errorf("%s:\n%s, want\n%s", c.Config, err, *c.Error)
		}
	}
}

func FuzzValidate(f *testing.F) {
	for _, seed := range []string{`{"logical_disks": [{"size_gb": "MAX", "raid_level": "1"}]}`, `{"logical_disks": [[], 1e9, null]}`,
		`{"logical_disks": [{"size_gb": -1.5, "physical_disks": [{}, "a"]}]}`} {
		f.Add([]byte(seed))
	}
	s := NewSchema()
	f.Fuzz(func(t *testing.T, text []byte) {
		config, err := store.ParseDict(text)
		if err != nil {
			return
		}
		if err := s.Validate(config); err != nil && store.KindOf(err) != store.InvalidParameterValue {
			t.Errorf("%s: %v", text, err)
		}
	})
}

func TestDescribesLogicalDisks(t *testing.T) {
	all := NewSchema().LogicalDiskProperties()
	want := []string{"controller", "disk_type", "interface_type", "is_root_volume", "number_of_physical_disks", "physical_disks",
		"raid_level", "share_physical_disks", "size_gb", "volume_name"}
	if got := slices.Sorted(maps.Keys(all)); !slices.Equal(got, want) {
		t.Errorf("properties %v", got)
	}
	if got := all["volume_name"]; got != "Name of the volume to be created. If this is not specified, it will be auto-generated. Optional." {
		t.Errorf("volume_name: %s", got)
	}
}

func disks(all ...map[string]any) store.Dict {
	list := make([]any, len(all))
	for i, d := range all {
		list[i] = d
	}
	return store.Dict{"logical_disks": list}
}

func TestRecordsTheArraysOfANode(t *testing.T) {
	now := time.Date(2026, 11, 26, 1, 2, 3, 4000, time.UTC)
	hint := map[string]any{"wwn": "0x5000"}
	root := map[string]any{"size_gb": json.Number("100"), "raid_level": "1+0", "is_root_volume": true, "root_device_hint": hint}
	for name, c := range map[string]struct {
		config, properties, want store.Dict
		err                      string
	}{
		"no root": {disks(map[string]any{"size_gb": json.Number("1"), "raid_level": "1"}), store.Dict{"local_gb": "7"}, store.Dict{"local_gb": "7"}, ""},
		"root": {disks(root), store.Dict{"local_gb": "7", "capabilities": "a:b:c,raid_level:5,boot_mode:uefi"},
			store.Dict{"local_gb": json.Number("100"), "root_device": hint, "capabilities": "a:b:c,raid_level:1+0,boot_mode:uefi"}, ""},
		"root of all the space": {disks(map[string]any{"size_gb": "MAX", "raid_level": "1", "is_root_volume": true}), store.Dict{"local_gb": "7"},
			store.Dict{"local_gb": "7", "capabilities": "raid_level:1"}, ""},
		"two roots": {disks(root, root), store.Dict{}, store.Dict{}, "Raid config cannot have more than one root volume. 2 root volumes were specified"},
		"bad capabilities": {disks(root), store.Dict{"capabilities": "boot_mode"}, store.Dict{"capabilities": "boot_mode"},
			"Invalid capabilities string 'boot_mode'."},
	} {
		n := &store.Node{Properties: c.properties.Clone()}
		err := Record(n, c.config, now)
		if text := ""; err != nil {
			if text = err.Error(); text != c.err {
				t.Errorf("%s: %v", name, err)
			}
			if n.RAIDConfig != nil {
				t.Errorf("%s: raid_config %v after an error", name, n.RAIDConfig)
			}
		} else if n.RAIDConfig.String("last_updated") != "2026-11-26 01:02:03.000004" || len(Disks(n.RAIDConfig)) != len(Disks(c.config)) || c.err != "" {
			t.Errorf("%s: raid_config %v", name, n.RAIDConfig)
		}
		if !reflect.DeepEqual(n.Properties, c.want) {
			t.Errorf("%s: properties %v", name, n.Properties)
		}
	}
}

func TestLeavesOutVolumesThatAStepDoesNotWant(t *testing.T) {
	root, other := map[string]any{"size_gb": 1, "is_root_volume": true}, map[string]any{"size_gb": 2}
	for name, c := range map[string]struct {
		target       store.Dict
		root, others bool
		want         int
		err          string
	}{
		"all":         {disks(root, other), true, true, 2, ""},
		"root":        {disks(root, other), true, false, 1, ""},
		"others":      {disks(root, other), false, true, 1, ""},
		"none wanted": {disks(root, other), false, false, 0, "Node n has empty target RAID configuration after skipping root volume and skipping non-root volumes."},
		"no other":    {disks(root), false, true, 0, "Node n has empty target RAID configuration after skipping root volume."},
		"no target":   {nil, true, true, 0, "Node n has no target RAID configuration."},
	} {
		got, err := Filter(&store.Node{UUID: "n", TargetRAIDConfig: c.target}, c.root, c.others)
		if len(Disks(got)) != c.want || (err == nil) != (c.err == "") {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		if err != nil && (err.Error() != c.err || store.KindOf(err) != store.MissingParameterValue) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
