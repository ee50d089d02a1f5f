package conductor

import (
	"context"

	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

type setBootDeviceArgs struct {
	NodeID     string `json:"node_id"`
	Device     string `json:"device"`
	Persistent bool   `json:"persistent,omitempty"`
}

func (c *Conductor) setBootDevice(ctx context.Context, rq oslo.Context, a setBootDeviceArgs) (any, error) {
	return nil, c.managing(ctx, rq, a.NodeID, "setting boot device", func(ctx context.Context, t *task) error {
		return t.Hardware.Management.SetBootDevice(ctx, t.Task, a.Device, a.Persistent)
	})
}

// managing runs fn on a locked node whose management interface is usable, for as long as the worker may act.
func (c *Conductor) managing(ctx context.Context, rq oslo.Context, node, purpose string,
	fn func(context.Context, *task) error) error {
	return c.withNode(ctx, rq, node, lockMode{purpose: purpose}, func(ctx context.Context, t *task) error {
		if err := t.Hardware.Management.Validate(ctx, t.Task); err != nil {
			return err
		}
		ctx, done := c.acting(ctx)
		defer done()
		return fn(ctx, t)
	})
}

// managingLater is managing for work that goes on after the answer: cut short it is done again. may, where there is one, tells
// whether the node can have it done.
func (c *Conductor) managingLater(ctx context.Context, rq oslo.Context, node, purpose string, may func(*task) error,
	work func(context.Context, *task)) error {
	return c.withNode(ctx, rq, node, lockMode{purpose: purpose}, func(ctx context.Context, t *task) error {
		if err := t.Hardware.Management.Validate(ctx, t.Task); err != nil {
			return err
		}
		if may != nil {
			if err := may(t); err != nil {
				return err
			}
		}
		t.Node.LastError = ""
		if err := t.save(ctx); err != nil {
			return err
		}
		t.holdsCall = true
		t.after(work, t.noWorker)
		return nil
	})
}

func (c *Conductor) getBootDevice(ctx context.Context, rq oslo.Context, a nodeArgs) (any, error) {
	var answer map[string]any
	err := c.managing(ctx, rq, a.NodeID, "getting boot device", func(ctx context.Context, t *task) error {
		d, err := t.Hardware.Management.BootDevice(ctx, t.Task)
		answer = map[string]any{"boot_device": nullable(d.Device), "persistent": d.Persistent}
		return err
	})
	return answer, err
}

func (c *Conductor) getSupportedBootDevices(ctx context.Context, rq oslo.Context, a nodeArgs) (any, error) {
	var devices []string
	err := c.readNode(ctx, rq, a.NodeID, "getting supported boot devices", func(ctx context.Context, t *task) (err error) {
		devices, err = t.Hardware.Management.SupportedBootDevices(ctx, t.Task)
		return err
	})
	return devices, err
}

func (c *Conductor) injectNMI(ctx context.Context, rq oslo.Context, a nodeArgs) (any, error) {
	return nil, c.managing(ctx, rq, a.NodeID, "inject nmi", func(ctx context.Context, t *task) error {
		return t.Hardware.Management.InjectNMI(ctx, t.Task)
	})
}

type componentArgs struct {
	NodeID    string `json:"node_id"`
	Component any    `json:"component,omitempty"`
}

func (c *Conductor) getSupportedIndicators(ctx context.Context, rq oslo.Context, a componentArgs) (any, error) {
	component := ""
	if store.PythonTrue(a.Component) {
		component = store.PythonText(a.Component)
	}
	answer := map[string]map[string]any{}
	err := c.readNode(ctx, rq, a.NodeID, "getting supported indicators", func(ctx context.Context, t *task) error {
		found, err := t.Hardware.Management.SupportedIndicators(ctx, t.Task, component)
		for name, indicators := range found {
			answer[name] = map[string]any{}
			for id, i := range indicators {
				answer[name][id] = map[string]any{"readonly": i.ReadOnly, "states": i.States}
			}
		}
		return err
	})
	return answer, err
}

type indicatorArgs struct {
	NodeID    string `json:"node_id"`
	Component string `json:"component" python:"key"`
	Indicator string `json:"indicator" python:"key"`
}

func (c *Conductor) getIndicatorState(ctx context.Context, rq oslo.Context, a indicatorArgs) (any, error) {
	state := ""
	err := c.managing(ctx, rq, a.NodeID, "getting indicators states", func(ctx context.Context, t *task) (err error) {
		state, err = t.Hardware.Management.IndicatorState(ctx, t.Task, a.Component, a.Indicator)
		return err
	})
	return state, err
}

type setIndicatorArgs struct {
	NodeID    string `json:"node_id"`
	Component string `json:"component"`
	Indicator string `json:"indicator"`
	State     string `json:"state"`
}

func (c *Conductor) setIndicatorState(ctx context.Context, rq oslo.Context, a setIndicatorArgs) (any, error) {
	return nil, c.managing(ctx, rq, a.NodeID, "setting indicator state", func(ctx context.Context, t *task) error {
		return t.Hardware.Management.SetIndicatorState(ctx, t.Task, a.Component, a.Indicator, a.State)
	})
}
