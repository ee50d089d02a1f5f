package drivers

import (
	"context"
	"strings"

	"github.com/ironmaster/ironmaster/store"
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

// Delegated is an inspect interface whose inspections a service carries out, which is asked how they stand.
type Delegated interface {
	Inspect
	// TakesNode tells that the service itself acts on the node: it is told to begin once the node waits and nobody holds it.
	TakesNode(n *store.Node) bool
	// Begin tells it to. While the service waits for a ramdisk, it begins anew.
	Begin(ctx context.Context, t *Task) error
	// Standing asks how the node's inspection stands.
	Standing(ctx context.Context, t *Task) (Standing, error)
	// Findings are what an inspection that ended well found out.
	Findings(ctx context.Context, t *Task) (inventory, pluginData store.Dict, err error)
	// Conclude takes away what an inspection that is over had prepared. Its error is RamdiskLeft.
	Conclude(ctx context.Context, t *Task) error
	// Forward hands over what a ramdisk told ironic-api. Nobody holds the node meanwhile.
	Forward(ctx context.Context, t *Task, inventory, pluginData store.Dict) error
}

// Standing is how an inspection stands with the service that carries it out.
type Standing struct {
	// Known is false when the service knows of none.
	Known bool
	// Over tells that it has ended: badly where there is an Error.
	Over  bool
	Error string
	// Awaited tells that the service waits for the ramdisk, or is about to.
	Awaited bool
}
