package fake

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
)

// Boot is the boot interface fake.
type Boot struct {
	plain
	delay Delay
}

// NewBoot returns the boot interface fake.
func NewBoot(c Config) *Boot { return &Boot{delay: c.BootDelay} }

// Capabilities are ironic's.
func (*Boot) Capabilities() []string { return []string{drivers.CanBootIPXE, drivers.CanBootPXE} }

// PrepareRamdisk waits for the configured time.
func (b *Boot) PrepareRamdisk(ctx context.Context, _ *drivers.Task, _ map[string]string) error {
	return b.delay.wait(ctx)
}

// CleanUpRamdisk waits for the configured time.
func (b *Boot) CleanUpRamdisk(ctx context.Context, _ *drivers.Task) error { return b.delay.wait(ctx) }

// PrepareInstance waits for the configured time.
func (b *Boot) PrepareInstance(ctx context.Context, _ *drivers.Task) error { return b.delay.wait(ctx) }

// CleanUpInstance waits for the configured time.
func (b *Boot) CleanUpInstance(ctx context.Context, _ *drivers.Task) error { return b.delay.wait(ctx) }

var _ drivers.Boot = (*Boot)(nil)
