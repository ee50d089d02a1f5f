package noop

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
)

// Console is the interface no-console: every use is refused.
type Console struct{ unsupported }

// NewConsole returns the interface no-console.
func NewConsole() *Console { return &Console{unsupported{drivers.TypeConsole}} }

// StartConsole refuses.
func (c *Console) StartConsole(ctx context.Context, t *drivers.Task) error { return c.Validate(ctx, t) }

// StopConsole refuses.
func (c *Console) StopConsole(ctx context.Context, t *drivers.Task) error { return c.Validate(ctx, t) }

// ConsoleAccess refuses.
func (c *Console) ConsoleAccess(ctx context.Context, t *drivers.Task) (drivers.ConsoleAccess, error) {
	return drivers.ConsoleAccess{}, c.Validate(ctx, t)
}

var _ drivers.Console = (*Console)(nil)
