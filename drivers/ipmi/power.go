package ipmi

import (
	"context"
	"maps"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// base is what every IPMI interface has in common.
type base struct {
	client *Client
	// words gives a node's driver_info in the words of the hardware type ipmi; nil stands for nodes that speak these.
	words func(*store.Node) store.Dict
}

// Properties describes how a node names its BMC.
func (base) Properties() map[string]string { return maps.Clone(properties) }

// Validate checks driver_info, without asking the BMC.
func (b base) Validate(_ context.Context, t *drivers.Task) error {
	_, err := b.target(t)
	return err
}

// Steps offers none.
func (base) Steps(drivers.StepKind) []drivers.Step { return nil }

func (b base) target(t *drivers.Task) (target, error) {
	to, err := parseDriverInfo(t.Node, b.driverInfo(t.Node))
	if err != nil {
		return target{}, err
	}
	return to, checkAddress(to, b.client.cfg.CheckAddress)
}

func (b base) driverInfo(n *store.Node) store.Dict {
	if b.words == nil {
		return n.DriverInfo
	}
	return b.words(n)
}

// ask sends a command to the node's BMC.
func (b base) ask(ctx context.Context, t *drivers.Task, c command) (reply, error) {
	to, err := b.target(t)
	if err != nil {
		return reply{}, err
	}
	return b.client.run(ctx, t, to, c)
}

// Power is the power interface ipmitool.
type Power struct{ base }

// NewPower returns the power interface ipmitool.
func NewPower(c *Client) *Power { return &Power{base{client: c}} }

// Controller is the address and port of the node's BMC.
func (*Power) Controller(n *store.Node) string {
	to, err := parseDriverInfo(n, n.DriverInfo)
	if err != nil {
		return ""
	}
	return to.key()
}

// SupportedPowerStates are all that ironic knows.
func (*Power) SupportedPowerStates(*drivers.Task) []string {
	return []string{store.PowerOn, store.PowerOff, store.Reboot, store.SoftReboot, store.SoftPowerOff}
}

// SupportsPowerSync is true: the BMC does what it is told.
func (*Power) SupportsPowerSync(*drivers.Task) bool { return true }

// PowerState asks for the chassis status. An answer that names no state is the state error.
func (p *Power) PowerState(ctx context.Context, t *drivers.Task) (string, error) {
	r, err := p.ask(ctx, t, powerStatus())
	if err != nil {
		return "", err
	}
	const poweredOn = 0x01
	switch text := strings.TrimSpace(r.text); {
	case len(r.data) > 0 && r.data[0]&poweredOn != 0, text == "Chassis Power is on":
		return store.PowerOn, nil
	case len(r.data) > 0, text == "Chassis Power is off":
		return store.PowerOff, nil
	}
	return store.PowerError, nil
}

// SetPowerState switches on or off, hard or soft, and waits for it.
func (p *Power) SetPowerState(ctx context.Context, t *drivers.Task, state string, timeout time.Duration) error {
	if _, err := p.target(t); err != nil {
		return err
	}
	switch state {
	case store.PowerOn:
		return p.switchOn(ctx, t, timeout)
	case store.PowerOff:
		return p.act(ctx, t, "off", store.PowerOff, timeout)
	case store.SoftPowerOff:
		return p.softOff(ctx, t, timeout)
	case store.SoftReboot:
		if t.Node.DisablePowerOff != nil && *t.Node.DisablePowerOff {
			return store.Errorf(store.UnsupportedHardwareFeature, "Node %s hardware does not support feature %s, which is required "+
				"based upon the requested configuration.", t.Node.UUID, store.SoftPowerOff)
		}
		if err := p.softOff(ctx, t, timeout); err != nil {
			return err
		}
		return p.switchOn(ctx, t, timeout)
	}
	return store.Errorf(store.InvalidParameterValue, "set_power_state called with invalid power state %s.", state)
}

// Reboot switches off, when the machine is on, and on again. Some BMCs refuse to switch off what is off. A machine that must not
// be switched off is reset.
func (p *Power) Reboot(ctx context.Context, t *drivers.Task, timeout time.Duration) error {
	if t.Node.DisablePowerOff != nil && *t.Node.DisablePowerOff {
		if err := p.renewBootDevice(ctx, t); err != nil {
			return err
		}
		return p.act(ctx, t, "reset", store.PowerOn, timeout)
	}
	state, err := p.PowerState(ctx, t)
	if err != nil {
		return err
	}
	if state != store.PowerOff {
		if err := p.act(ctx, t, "off", store.PowerOff, timeout); err != nil {
			return err
		}
	}
	return p.switchOn(ctx, t, timeout)
}

func (p *Power) switchOn(ctx context.Context, t *drivers.Task, timeout time.Duration) error {
	if err := p.renewBootDevice(ctx, t); err != nil {
		return err
	}
	return p.act(ctx, t, "on", store.PowerOn, timeout)
}

func (p *Power) softOff(ctx context.Context, t *drivers.Task, timeout time.Duration) error {
	if timeout == 0 {
		timeout = p.client.cfg.SoftPowerOffTimeout
	}
	return p.act(ctx, t, "soft", store.PowerOff, timeout)
}

// act sends a chassis control and waits until the machine is where it leads to.
func (p *Power) act(ctx context.Context, t *drivers.Task, action, end string, timeout time.Duration) error {
	if _, err := p.ask(ctx, t, chassisControl(action)); err != nil {
		return err
	}
	if action == "reset" {
		if err := drivers.Pause(ctx, p.client.cfg.ResetPause); err != nil {
			return err
		}
	}
	if timeout == 0 {
		timeout = p.client.cfg.PowerTimeout
	}
	return p.await(ctx, t, end, timeout)
}

// await polls the power state, quickly first and slower later.
func (p *Power) await(ctx context.Context, t *drivers.Task, state string, timeout time.Duration) error {
	waiting, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	const slowest = 10 * time.Second
	for wait := p.client.cfg.PowerPoll; ; wait = min(wait*3/2, slowest) {
		_ = drivers.Pause(waiting, wait)
		now := ""
		var err error
		if waiting.Err() == nil {
			now, err = p.PowerState(waiting, t)
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil && now == state:
			return nil
		case waiting.Err() != nil:
			return store.Errorf(store.PowerStateFailure, "Failed to set node power state to %s.", state)
		case err != nil:
			return err
		}
	}
}

// renewBootDevice sets the device again that the BMC of a node with ipmi_force_boot_device forgets at each power cycle. A device
// that was asked for once stands this time, and the persistent one next time.
func (p *Power) renewBootDevice(ctx context.Context, t *drivers.Task) error {
	to, err := p.target(t)
	if err != nil || !to.forceBootDevice {
		return err
	}
	info := t.Node.DriverInternalInfo
	if value, set := info[keyBootPersistently]; set && value == false {
		delete(info, keyBootPersistently)
		return t.Worker.Save(ctx, t)
	}
	if device := info.String(keyBootDevice); device != "" {
		return drivers.SetBootDevice(ctx, t, device, true)
	}
	return nil
}

var (
	_ drivers.Power      = (*Power)(nil)
	_ drivers.Controlled = (*Power)(nil)
)
