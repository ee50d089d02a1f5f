package agent

import (
	"github.com/ironmaster/ironmaster/drivers/rootdevice"
	"github.com/ironmaster/ironmaster/store"
)

// validateRootDevice checks the hints for the disk to deploy to; the instance's are stronger than the machine's.
func validateRootDevice(n *store.Node) error {
	hints, from := n.InstanceInfo.Dict("root_device"), "instance_info"
	if len(hints) == 0 {
		hints, from = n.Properties.Dict("root_device"), "properties"
	}
	if err := rootdevice.Check(hints); err != nil {
		return store.Errorf(store.InvalidParameterValue,
			"Failed to validate the root device hints %s (from the node's %s) for node %s: %w",
			store.PythonRepr(hints), from, n.UUID, err)
	}
	return nil
}

func parseBool(text string) (value, known bool) {
	d := store.Dict{"b": text}
	on := d.Bool("b", false)
	return on, on == d.Bool("b", true)
}
