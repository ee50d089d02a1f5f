package fake

import "github.com/ironmaster/ironmaster/drivers"

// Inspect is the inspect interface fake: always valid, with nothing behind it.
type Inspect struct{ plain }

// NewInspect returns the inspect interface fake.
func NewInspect() *Inspect { return &Inspect{} }

var _ drivers.Interface = (*Inspect)(nil)
