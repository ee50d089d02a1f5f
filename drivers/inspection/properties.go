package inspection

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

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
			store.PythonText(w.inventory["cpu"]), w.Node.UUID))
	}
	return w.setProperty(ctx, "cpu_arch", arch)
}

// memory sets memory_mb.
func memory(ctx context.Context, w *work) error {
	amount, known := w.inventory.Dict("memory")["physical_mb"]
	if !known {
		return w.invalid(fmt.Sprintf("Inventory has missing memory information: %s for node %s.",
			store.PythonText(w.inventory["memory"]), w.Node.UUID))
	}
	return w.setProperty(ctx, "memory_mb", amount)
}

// bootMode sets the capability boot_mode.
func bootMode(ctx context.Context, w *work) error {
	mode := w.inventory.Dict("boot")["current_boot_mode"]
	if mode == nil {
		w.Log.Warn().Msg("The inventory does not tell the boot mode")
		return nil
	}
	return w.setCapabilities(ctx, []capability{{"boot_mode", store.PythonText(mode)}})
}

// cpuCapabilities sets a capability for each flag of the CPU that has one.
func cpuCapabilities(ctx context.Context, w *work) error {
	flags := w.inventory.Dict("cpu").List("flags")
	if len(flags) == 0 {
		w.Log.Warn().Msg("The inventory has no CPU flags; none of them becomes a capability")
		return nil
	}
	var found []capability
	for _, c := range w.cfg.CPUCapabilities {
		if slices.Contains(flags, any(c.Flag)) {
			found = append(found, capability{c.Name, "true"})
		}
	}
	return w.setCapabilities(ctx, found)
}

// pciDevices counts the devices that an alias names. Of two aliases of a device the last names it; of two devices with one name that
// which was found last is counted.
func pciDevices(ctx context.Context, w *work) error {
	devices, there := w.plugin["pci_devices"].([]any)
	if !there {
		w.Log.Warn().Msg("The ramdisk did not tell of PCI devices")
		return nil
	}
	type kind struct{ vendor, product string }
	names := map[kind]string{}
	for _, alias := range w.cfg.PCIAliases {
		names[kind{alias.VendorID, alias.ProductID}] = alias.Name
	}
	var order []kind
	counts := map[kind]int{}
	for _, item := range devices {
		one := dictOf(item)
		for _, key := range []string{"vendor_id", "product_id"} {
			if _, told := one[key]; !told {
				return absent(key)
			}
		}
		vendor, isText := one["vendor_id"].(string)
		product, alsoText := one["product_id"].(string)
		k := kind{vendor, product}
		if _, named := names[k]; !named || !isText || !alsoText {
			continue
		}
		if counts[k] == 0 {
			order = append(order, k)
		}
		counts[k]++
	}
	var found []capability
	for _, k := range order {
		found = append(found, capability{names[k], strconv.Itoa(counts[k])})
	}
	return w.setCapabilities(ctx, found)
}

// capability is one of a node's properties.capabilities.
type capability struct{ name, value string }

// setCapabilities changes capabilities of the node, or adds them to those that it has, in their order.
func (w *work) setCapabilities(ctx context.Context, found []capability) error {
	if len(found) == 0 {
		return nil
	}
	all, err := capabilitiesOf(w.Node)
	if err != nil {
		return err
	}
	texts := make([]string, 0, len(all)+len(found))
	for _, c := range found {
		all = withCapability(all, c)
	}
	for _, c := range all {
		texts = append(texts, c.name+":"+c.value)
	}
	return w.setProperty(ctx, "capabilities", strings.Join(texts, ","))
}

// capabilitiesOf takes a node's properties.capabilities apart. Of two with a name the last counts, at the place of the first.
func capabilitiesOf(n *store.Node) ([]capability, error) {
	value := n.Properties["capabilities"]
	if !store.PythonTrue(value) {
		return nil, nil
	}
	text, isText := value.(string)
	if !isText {
		return nil, mistyped("the node's capabilities are no text: %s", store.PythonText(value))
	}
	var all []capability
	for item := range strings.SplitSeq(text, ",") {
		name, value, pair := strings.Cut(item, ":")
		if !pair {
			return nil, &malformed{"ValueError", fmt.Sprintf("Invalid capabilities string '%s'.", text)}
		}
		all = withCapability(all, capability{name, value})
	}
	return all, nil
}

func withCapability(all []capability, c capability) []capability {
	if at := slices.IndexFunc(all, func(o capability) bool { return o.name == c.name }); at >= 0 {
		all[at] = c
		return all
	}
	return append(all, c)
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
