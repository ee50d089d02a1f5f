package fake

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/raid"
	"github.com/ironmaster/ironmaster/store"
)

// RAID is the raid interface fake: it takes every configuration that is one, with nothing behind it. Like ironic's it offers no steps.
type RAID struct {
	plain
	schema *raid.Schema
}

// NewRAID returns the raid interface fake.
func NewRAID() *RAID { return &RAID{schema: raid.NewSchema()} }

// Validate checks the configuration that the node is to get.
func (r *RAID) Validate(_ context.Context, t *drivers.Task) error {
	return raid.ValidateTarget(t.Node, r.schema.Validate)
}

// ValidateRAIDConfig holds a configuration against the schema.
func (r *RAID) ValidateRAIDConfig(_ context.Context, _ *drivers.Task, config store.Dict) error {
	return r.schema.Validate(config)
}

// LogicalDiskProperties describes what a logical disk may be given.
func (r *RAID) LogicalDiskProperties() map[string]string { return r.schema.LogicalDiskProperties() }

var _ drivers.RAID = (*RAID)(nil)
