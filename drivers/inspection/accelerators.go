package inspection

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/ironmaster/ironmaster/store"
)

// Accelerator is a kind of PCI device, with what is recorded of one: its vendor_id and device_id, and further keys such as type and
// device_info.
type Accelerator store.Dict

// KnownAccelerators are those that a release of ironic knows by itself; more tells of 32.0 and newer.
func KnownAccelerators(more bool) []Accelerator {
	nvidia := func(device, info string) Accelerator {
		return Accelerator{"vendor_id": "10de", "device_id": device, "type": "GPU", "device_info": "NVIDIA Corporation " + info}
	}
	known := []Accelerator{nvidia("1eb8", "Tesla T4"), nvidia("1df6", "GV100GL")}
	if more {
		known = append(known, nvidia("2236", "A10"), nvidia("2235", "A40"), nvidia("26b9", "L40S"), nvidia("26ba", "L20"))
	}
	return known
}

// ParseAccelerators reads a file of [inspector]known_accelerators: YAML with a list pci_devices.
func ParseAccelerators(text []byte) ([]Accelerator, error) {
	var file struct {
		Devices []map[string]any `yaml:"pci_devices"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("reading known accelerators: %w", err)
	}
	if len(file.Devices) == 0 {
		return nil, errors.New("there are no pci_devices among the known accelerators")
	}
	var known []Accelerator
	for i, device := range file.Devices {
		for _, key := range []string{"vendor_id", "device_id"} {
			if id, ok := device[key].(string); !ok || id == "" {
				return nil, fmt.Errorf("pci_devices: number %d has no text %s", i+1, key)
			}
		}
		known = append(known, device)
	}
	return known, nil
}

// accelerators lists the accelerators among the PCI devices in the property of that name.
func accelerators(ctx context.Context, w *work) error {
	devices := w.plugin.List("pci_devices")
	if len(devices) == 0 {
		// What a BMC tells has them in the inventory.
		devices = w.inventory.List("pci_devices")
	}
	if len(devices) == 0 {
		w.Log.Warn().Msg("There is nothing about PCI devices; accelerators are not looked for")
		return nil
	}
	found := []any{}
	for _, item := range devices {
		device := dictOf(item)
		for _, key := range []string{"vendor_id", "product_id"} {
			if _, told := device[key]; !told {
				return absent(key)
			}
		}
		at := slices.IndexFunc(w.cfg.Accelerators, func(a Accelerator) bool {
			return a["vendor_id"] == device["vendor_id"] && a["device_id"] == device["product_id"]
		})
		if at < 0 {
			continue
		}
		address, told := device["bus"]
		if !told {
			return absent("bus")
		}
		one := store.Dict(w.cfg.Accelerators[at]).Clone()
		one["pci_address"] = address
		found = append(found, one)
	}
	if len(found) == 0 && !w.cfg.Differences.AcceleratorsGo {
		return nil
	}
	return w.setProperty(ctx, "accelerators", found)
}
