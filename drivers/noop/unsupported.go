// Package noop holds the interfaces that do nothing. Those that ironic calls no-bios, no-console and so on refuse
// everything including validation, because an operator chose not to have them; network, storage and management noop
// accept everything, because there is nothing to be done.
package noop

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
)

// unsupported refuses validation with the text that users of ironic know.
type unsupported struct{ extension drivers.InterfaceType }

func (u unsupported) Properties() map[string]string { return map[string]string{} }

func (u unsupported) Validate(_ context.Context, t *drivers.Task) error {
	return drivers.Unsupported(t, string(u.extension))
}

func (u unsupported) Steps(drivers.StepKind) []drivers.Step { return nil }

// permissive accepts validation.
type permissive struct{}

func (permissive) Properties() map[string]string                 { return map[string]string{} }
func (permissive) Validate(context.Context, *drivers.Task) error { return nil }
func (permissive) Steps(drivers.StepKind) []drivers.Step         { return nil }
