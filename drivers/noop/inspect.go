package noop

import "github.com/ironmaster/ironmaster/drivers"

// Inspect is the interface no-inspect: every use is refused.
type Inspect struct{ unsupported }

// NewInspect returns the interface no-inspect.
func NewInspect() *Inspect { return &Inspect{unsupported{drivers.TypeInspect}} }
