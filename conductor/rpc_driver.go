package conductor

import (
	"context"
	"fmt"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

type driverArgs struct {
	DriverName string `json:"driver_name" python:"key"`
}

func (c *Conductor) getDriverProperties(_ context.Context, _ oslo.Context, a driverArgs) (any, error) {
	return c.hardware.Properties(a.DriverName)
}

// validateDriverInterfaces tells for each interface of a node whether its settings suffice. Nothing is saved.
func (c *Conductor) validateDriverInterfaces(ctx context.Context, rq oslo.Context, a nodeArgs) (any, error) {
	results := map[string]map[string]any{}
	err := c.readNode(ctx, rq, a.NodeID, "driver interface validation", func(ctx context.Context, t *task) error {
		if _, err := t.inferImageKind(ctx); err != nil {
			return err
		}
		for _, typ := range c.interfaceTypes() {
			if typ != drivers.TypeVendor {
				results[string(typ)] = t.validateInterface(ctx, typ)
			}
		}
		return nil
	})
	return results, err
}

func (t *task) validateInterface(ctx context.Context, typ drivers.InterfaceType) map[string]any {
	err := t.Hardware.Get(typ).Validate(ctx, t.Task)
	if err == nil && typ == drivers.TypeDeploy {
		if err = checkInstanceTraits(t.Node); err == nil {
			_, _, err = t.checkedDeploySteps(ctx, nil, true)
		}
	}
	if err == nil {
		return map[string]any{"result": true}
	}
	reason := err.Error()
	if kind := store.KindOf(err); !isInvalidParameter(kind) && kind != store.UnsupportedDriverExtension {
		t.Log.Error().Err(err).Str("interface", string(typ)).Msg("Validating an interface failed unexpectedly")
		reason = fmt.Sprintf("Unexpected exception, traceback saved into log by ironic conductor service that is running "+
			"on %s: %s", t.c.cfg.Host, err)
	}
	return map[string]any{"result": false, "reason": reason}
}
