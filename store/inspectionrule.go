package store

import "time"

// InspectionRule is what is to be done with a node in its inspection, under which conditions: one row of the table inspection_rules.
type InspectionRule struct {
	ID      int64  `field:"id"`
	UUID    string `field:"uuid"`
	Version string `field:"version"`

	CreatedAt time.Time `field:"created_at"`
	UpdatedAt time.Time `field:"updated_at"`

	Priority    int64   `field:"priority"`
	Description *string `field:"description"`
	Sensitive   bool    `field:"sensitive"`
	Phase       *string `field:"phase"`
	Scope       *string `field:"scope"`
	Actions     []Dict  `field:"actions"`
	Conditions  []Dict  `field:"conditions"`

	Snapshot Snapshot
}
