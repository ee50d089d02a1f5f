package fake

import "github.com/ironmaster/ironmaster/drivers"

// Console is the console interface fake: always valid, with nothing behind it.
type Console struct{ plain }

// NewConsole returns the console interface fake.
func NewConsole() *Console { return &Console{} }

var _ drivers.Interface = (*Console)(nil)
