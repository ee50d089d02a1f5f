package store

import "time"

// VolumeConnector is an address by which a node reaches storage, such as the IQN of its initiator: one row of the table
// volume_connectors.
type VolumeConnector struct {
	ID      int64  `field:"id"`
	UUID    string `field:"uuid"`
	Version string `field:"version"`

	CreatedAt time.Time `field:"created_at"`
	UpdatedAt time.Time `field:"updated_at"`

	NodeID      int64   `field:"node_id"`
	Type        *string `field:"type"`
	ConnectorID *string `field:"connector_id"`
	Extra       Dict    `field:"extra"`

	Snapshot Snapshot
}

// VolumeTarget is a remote volume of a node: one row of the table volume_targets.
type VolumeTarget struct {
	ID      int64  `field:"id"`
	UUID    string `field:"uuid"`
	Version string `field:"version"`

	CreatedAt time.Time `field:"created_at"`
	UpdatedAt time.Time `field:"updated_at"`

	NodeID     int64   `field:"node_id"`
	VolumeType *string `field:"volume_type"`
	// Properties may hold credentials.
	Properties Dict `field:"properties"`
	// BootIndex tells at which place the node tries to boot from the volume, 0 the first.
	BootIndex *int64  `field:"boot_index"`
	VolumeID  *string `field:"volume_id"`
	Extra     Dict    `field:"extra"`

	Snapshot Snapshot
}
