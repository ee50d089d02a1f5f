package store

import "time"

// FirmwareComponent is the firmware of a part of a node, such as its BMC: one row of the table firmware_information.
type FirmwareComponent struct {
	ID      int64  `field:"id"`
	Version string `field:"version"`

	CreatedAt time.Time `field:"created_at"`
	UpdatedAt time.Time `field:"updated_at"`

	NodeID             int64   `field:"node_id"`
	Component          string  `field:"component"`
	InitialVersion     string  `field:"initial_version"`
	CurrentVersion     *string `field:"current_version"`
	LastVersionFlashed *string `field:"last_version_flashed"`
	Vendor             *string `field:"vendor"`
	Model              *string `field:"model"`
	SerialNumber       *string `field:"serial_number"`
}
