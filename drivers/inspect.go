package drivers

import (
	"context"
	"strings"
)

// InspectionBoot is a boot interface that can boot a ramdisk for inspection.
type InspectionBoot interface {
	// ValidateInspection checks that there is a ramdisk to boot. UnsupportedDriverExtension tells that the node has to be booted
	// by somebody else.
	ValidateInspection(ctx context.Context, t *Task) error
}

// Enumerating is a management interface that knows the addresses of a node's network cards.
type Enumerating interface {
	// MACAddresses are those of the cards that are enabled.
	MACAddresses(ctx context.Context, t *Task) ([]string, error)
}

// RamdiskLeft tells that everything is known of a node, and that its ramdisk could not be taken away.
type RamdiskLeft struct{ Problems []string }

func (e *RamdiskLeft) Error() string {
	return "Inspection clean up failed: " + strings.Join(e.Problems, ", ")
}
