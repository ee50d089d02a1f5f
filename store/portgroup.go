package store

import "time"

// Portgroup is a bond of ports of a node: one row of the table portgroups.
type Portgroup struct {
	ID      int64  `field:"id"`
	UUID    string `field:"uuid"`
	Version string `field:"version"`

	CreatedAt time.Time `field:"created_at"`
	UpdatedAt time.Time `field:"updated_at"`

	NodeID                   int64   `field:"node_id"`
	Name                     *string `field:"name"`
	Address                  string  `field:"address"`
	Extra                    Dict    `field:"extra"`
	InternalInfo             Dict    `field:"internal_info"`
	StandalonePortsSupported *bool   `field:"standalone_ports_supported"`
	Mode                     *string `field:"mode"`
	Properties               Dict    `field:"properties"`
	PhysicalNetwork          *string `field:"physical_network"`
	Category                 *string `field:"category"`
	DynamicPortgroup         *bool   `field:"dynamic_portgroup"`

	// NodeUUID is no column; reads join it from nodes.
	NodeUUID string
	Snapshot Snapshot
}
