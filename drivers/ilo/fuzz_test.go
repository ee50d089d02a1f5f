package ilo

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// FuzzFirmware feeds what an iLO may answer to what reads BIOS settings.
func FuzzFirmware(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("there are no recorded trees", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var tree map[string]json.RawMessage
		if err := json.Unmarshal(text, &tree); err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(tree["/redfish/v1/systems/1/bios"]))
	}
	f.Add([]byte(`{"Attributes":[],"links":{"Settings":7},"@Redfish.Settings":"none"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var raw map[string]any
		if json.Unmarshal(text, &raw) != nil {
			return
		}
		settings := parseFirmware(raw)
		for name := range settings.attributes {
			if settings.flat && notSettings[name] {
				t.Errorf("%s is taken for a setting", name)
			}
		}
		if mode := settings.mode(); mode != "" && mode != "uefi" && mode != "bios" {
			t.Errorf("the boot mode is %q", mode)
		}
	})
}
