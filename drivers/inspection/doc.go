// Package inspection makes of what was found in a machine what ironic makes of it: properties, ports and a stored inventory. Hooks do
// the work, those that ironic has, in the order of [inspector]hooks. Who finds it out are the inspect interfaces, each with its driver.
package inspection

import (
	"context"

	"github.com/ironmaster/ironmaster/store"
)

// Store keeps what was found beside the node's own row.
type Store interface {
	// CreatePort fails with MACAlreadyExists when a port of any node has the address.
	CreatePort(ctx context.Context, p *store.Port) error
	DestroyPort(ctx context.Context, p *store.Port) error
	// SaveInventory replaces what was found before.
	SaveInventory(ctx context.Context, nodeID int64, inventory, pluginData store.Dict) error
	// LastInventory is what the last inspection found, nil without one.
	LastInventory(ctx context.Context, nodeID int64) (*store.NodeInventory, error)
}
