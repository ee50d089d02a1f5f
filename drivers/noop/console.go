package noop

import "github.com/ironmaster/ironmaster/drivers"

// Console is the interface no-console: every use is refused.
type Console struct{ unsupported }

// NewConsole returns the interface no-console.
func NewConsole() *Console { return &Console{unsupported{drivers.TypeConsole}} }
