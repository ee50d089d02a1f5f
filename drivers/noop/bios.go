package noop

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
)

// BIOS is the interface no-bios: it is refused in every use but caching, which other flows ask for in passing.
type BIOS struct{ unsupported }

// NewBIOS returns the interface no-bios.
func NewBIOS() *BIOS { return &BIOS{unsupported{drivers.TypeBIOS}} }

// CacheSettings has nothing to cache.
func (*BIOS) CacheSettings(context.Context, *drivers.Task) error { return nil }

var _ drivers.BIOS = (*BIOS)(nil)
