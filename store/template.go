package store

import "time"

// DeployTemplate is a named list of deploy steps, chosen by a trait of the same name: a row of the table deploy_templates with
// those of deploy_template_steps.
type DeployTemplate struct {
	ID      int64  `field:"id"`
	UUID    string `field:"uuid"`
	Version string `field:"version"`

	CreatedAt time.Time `field:"created_at"`
	UpdatedAt time.Time `field:"updated_at"`

	Name  string `field:"name"`
	Extra Dict   `field:"extra"`
	// Steps have the keys interface, step, args and priority.
	Steps []Dict `field:"steps"`

	Snapshot Snapshot
}

// Runbook is a named list of steps for cleaning and servicing, which nodes with one of its traits may be given: a row of the table
// runbooks with those of runbook_steps and runbook_traits.
type Runbook struct {
	ID      int64  `field:"id"`
	UUID    string `field:"uuid"`
	Version string `field:"version"`

	CreatedAt time.Time `field:"created_at"`
	UpdatedAt time.Time `field:"updated_at"`

	Name           string  `field:"name"`
	Description    *string `field:"description"`
	DisableRamdisk bool    `field:"disable_ramdisk"`
	Extra          Dict    `field:"extra"`
	Public         bool    `field:"public"`
	Owner          *string `field:"owner"`
	// Steps have the keys interface, step, args and order.
	Steps  []Dict   `field:"steps"`
	Traits []string `field:"traits"`

	Snapshot Snapshot
}

// RunbookTrait is a trait of a runbook: one row of the table runbook_traits.
type RunbookTrait struct {
	CreatedAt time.Time `field:"created_at"`
	UpdatedAt time.Time `field:"updated_at"`

	RunbookID int64  `field:"runbook_id"`
	Trait     string `field:"trait"`
}
