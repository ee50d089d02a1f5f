package store

import "time"

// Chassis is a group of nodes: one row of the table chassis.
type Chassis struct {
	ID      int64  `field:"id"`
	UUID    string `field:"uuid"`
	Version string `field:"version"`

	CreatedAt time.Time `field:"created_at"`
	UpdatedAt time.Time `field:"updated_at"`

	Description *string `field:"description"`
	Extra       Dict    `field:"extra"`

	Snapshot Snapshot
}

// NodeHistory is an entry in a node's history as it is read: one row of the table node_history.
type NodeHistory struct {
	ID   int64  `field:"id"`
	UUID string `field:"uuid"`

	CreatedAt time.Time `field:"created_at"`
	UpdatedAt time.Time `field:"updated_at"`

	NodeID               int64   `field:"node_id"`
	Conductor            *string `field:"conductor"`
	Event                *string `field:"event"`
	EventType            *string `field:"event_type"`
	Severity             *string `field:"severity"`
	User                 *string `field:"user"`
	Project              *string `field:"project"`
	State                *string `field:"state"`
	TargetProvisionState *string `field:"target_provision_state"`
	DurationSeconds      *int64  `field:"duration_seconds"`
}

// NodeInventory is what the last inspection of a node found: one row of the table node_inventory.
type NodeInventory struct {
	ID int64 `field:"id"`

	CreatedAt time.Time `field:"created_at"`
	UpdatedAt time.Time `field:"updated_at"`

	NodeID        int64 `field:"node_id"`
	InventoryData Dict  `field:"inventory_data"`
	PluginData    Dict  `field:"plugin_data"`
}

// Trait is a trait of a node: one row of the table node_traits.
type Trait struct {
	CreatedAt time.Time `field:"created_at"`
	UpdatedAt time.Time `field:"updated_at"`

	NodeID int64  `field:"node_id"`
	Trait  string `field:"trait"`
}
