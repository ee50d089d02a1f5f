package noop

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/raid"
	"github.com/ironmaster/ironmaster/store"
)

// RAID is the interface no-raid: every use is refused. What a logical disk may be given is told all the same, as ironic does.
type RAID struct {
	unsupported
	schema *raid.Schema
}

// NewRAID returns the interface no-raid.
func NewRAID() *RAID { return &RAID{unsupported{drivers.TypeRAID}, raid.NewSchema()} }

// ValidateRAIDConfig refuses.
func (r *RAID) ValidateRAIDConfig(ctx context.Context, t *drivers.Task, _ store.Dict) error {
	return r.Validate(ctx, t)
}

// LogicalDiskProperties describes what a logical disk may be given.
func (r *RAID) LogicalDiskProperties() map[string]string { return r.schema.LogicalDiskProperties() }

var _ drivers.RAID = (*RAID)(nil)
