package neutron

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// base is what the network interfaces flat and neutron have in common.
type base struct {
	cfg    Config
	client *Client
}

// Properties describes nothing: ironic's own network interfaces tell none of the driver_info keys that they read.
func (*base) Properties() map[string]string { return map[string]string{} }

// Steps are none.
func (*base) Steps(drivers.StepKind) []drivers.Step { return nil }

// ValidateInspection checks that there is a network for an inspection that ironic boots itself.
func (b *base) ValidateInspection(ctx context.Context, t *drivers.Task) error {
	_, err := b.networkID(ctx, t, inspection)
	if store.KindOf(err) != store.MissingParameterValue {
		return err
	}
	if b.cfg.ExplainsInspection {
		return store.Errorf(store.UnsupportedDriverExtension, "Insufficient information provided for managed inspection: %w", err)
	}
	return drivers.Unsupported(t, "inspection")
}

// CurrentVIF is the Neutron port of the ramdisk that runs, else that of the tenant.
func (*base) CurrentVIF(internalInfo store.Dict) string {
	for _, key := range keys {
		if vif := internalInfo.String(key); vif != "" {
			return vif
		}
	}
	return ""
}
