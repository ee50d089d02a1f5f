package inspection

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// setProperty changes one of the node's properties and saves the node.
func (w *work) setProperty(ctx context.Context, key string, value any) error {
	properties := w.Node.Properties.Clone()
	if properties == nil {
		properties = store.Dict{}
	}
	properties[key] = value
	w.Node.Properties = properties
	return w.Worker.Save(ctx, w.Task)
}

// architecture sets cpu_arch.
func architecture(ctx context.Context, w *work) error {
	arch, known := w.inventory.Dict("cpu")["architecture"]
	if !known {
		return w.invalid(fmt.Sprintf("Inventory has malformed or missing CPU architecture information: %s for node %s.",
			shown(w.inventory["cpu"]), w.Node.UUID))
	}
	return w.setProperty(ctx, "cpu_arch", arch)
}

// memory sets memory_mb.
func memory(ctx context.Context, w *work) error {
	amount, known := w.inventory.Dict("memory")["physical_mb"]
	if !known {
		return w.invalid(fmt.Sprintf("Inventory has missing memory information: %s for node %s.",
			shown(w.inventory["memory"]), w.Node.UUID))
	}
	return w.setProperty(ctx, "memory_mb", amount)
}

// bootMode sets the capability boot_mode.
func bootMode(ctx context.Context, w *work) error {
	mode := w.inventory.Dict("boot").String("current_boot_mode")
	if mode == "" {
		w.Log.Warn().Msg("The inventory does not tell the boot mode")
		return nil
	}
	return w.setCapabilities(ctx, map[string]string{"boot_mode": mode})
}

// cpuCapabilities sets a capability for each flag of the CPU that has one.
func cpuCapabilities(ctx context.Context, w *work) error {
	flags := w.inventory.Dict("cpu").List("flags")
	if len(flags) == 0 {
		w.Log.Warn().Msg("The inventory has no CPU flags; none of them becomes a capability")
		return nil
	}
	found := map[string]string{}
	for flag, capability := range w.cfg.CPUCapabilities {
		if slices.Contains(flags, any(flag)) {
			found[capability] = "true"
		}
	}
	return w.setCapabilities(ctx, found)
}

// pciDevices counts the devices that an alias names.
func pciDevices(ctx context.Context, w *work) error {
	devices, there := w.plugin["pci_devices"].([]any)
	if !there {
		w.Log.Warn().Msg("The ramdisk did not tell of PCI devices")
		return nil
	}
	counts := map[string]int{}
	for _, item := range devices {
		one := dictOf(item)
		for _, alias := range w.cfg.PCIAliases {
			if alias.VendorID == one.String("vendor_id") && alias.ProductID == one.String("product_id") {
				counts[alias.Name]++
			}
		}
	}
	found := map[string]string{}
	for name, n := range counts {
		found[name] = fmt.Sprint(n)
	}
	return w.setCapabilities(ctx, found)
}

// setCapabilities adds capabilities to those that the node has, in the order of their names.
func (w *work) setCapabilities(ctx context.Context, found map[string]string) error {
	if len(found) == 0 {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		text := drivers.WithCapability(w.Node, name, found[name])
		if err := w.setProperty(ctx, "capabilities", text); err != nil {
			return err
		}
	}
	return nil
}

// shown is a part of an inventory that does not say what it should.
func shown(v any) string {
	if v == nil {
		return "None"
	}
	text, err := store.AppendJSON(nil, v)
	if err != nil {
		return fmt.Sprintf("something that is no JSON (%v)", err)
	}
	return string(text)
}

// cpus sets the number of CPUs.
func cpus(ctx context.Context, w *work) error {
	count, told, err := w.inventory.Dict("cpu").Int("count")
	if err != nil {
		return &malformed{"ValueError", err.Error()}
	}
	if !told || count == 0 {
		w.Log.Warn().Msg("The inventory does not tell the number of CPUs")
		return nil
	}
	return w.setProperty(ctx, "cpus", count)
}
