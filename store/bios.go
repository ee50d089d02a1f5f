package store

import "time"

// BIOSSetting is a row of bios_settings: a firmware setting of a node, with what the firmware's attribute registry says of it (DMTF
// DSP0266, AttributeRegistry). Nil stands for what neither tells.
type BIOSSetting struct {
	CreatedAt time.Time `field:"created_at"`
	UpdatedAt time.Time `field:"updated_at"`

	NodeID int64   `field:"node_id"`
	Name   string  `field:"name"`
	Value  *string `field:"value"`

	Type            *string  `field:"attribute_type"`
	AllowableValues []string `field:"allowable_values"`
	LowerBound      *int64   `field:"lower_bound"`
	UpperBound      *int64   `field:"upper_bound"`
	MinLength       *int64   `field:"min_length"`
	MaxLength       *int64   `field:"max_length"`
	ReadOnly        *bool    `field:"read_only"`
	ResetRequired   *bool    `field:"reset_required"`
	Unique          *bool    `field:"unique"`
}
