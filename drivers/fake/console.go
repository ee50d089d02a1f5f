package fake

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
)

// Console is the console interface fake: always valid, with nothing behind it.
type Console struct{ plain }

// NewConsole returns the console interface fake.
func NewConsole() *Console { return &Console{} }

// StartConsole does nothing.
func (*Console) StartConsole(context.Context, *drivers.Task) error { return nil }

// StopConsole does nothing.
func (*Console) StopConsole(context.Context, *drivers.Task) error { return nil }

// ConsoleAccess has nothing to tell.
func (*Console) ConsoleAccess(context.Context, *drivers.Task) (drivers.ConsoleAccess, error) {
	return drivers.ConsoleAccess{}, nil
}

var _ drivers.Console = (*Console)(nil)
