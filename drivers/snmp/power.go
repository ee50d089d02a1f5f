// Package snmp switches machines at the outlets of power strips that speak SNMP, as ironic's power interface snmp does.
package snmp

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/gosnmp/gosnmp"
	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/bmc"
	"github.com/ironmaster/ironmaster/store"
)

// Config is [snmp].
type Config struct {
	// PowerTimeout is how long a change may take, ActionDelay the pause before switching on and after switching off, RebootDelay
	// the one in between.
	PowerTimeout, ActionDelay, RebootDelay time.Duration
	// Timeout is how long an answer may take, Retries how often a request is sent again.
	Timeout time.Duration
	Retries int
	// Poll is the pause between two looks at the state.
	Poll time.Duration
	// ProbePause is how long a silent power strip is left alone by work that nobody waits for; it grows up to LongestProbePause.
	ProbePause, LongestProbePause time.Duration
}

// DefaultConfig returns the defaults of ironic's options, and Ironmaster's own where ironic has none.
func DefaultConfig() Config {
	return Config{PowerTimeout: 10 * time.Second, Timeout: time.Second, Retries: 5, Poll: time.Second, ProbePause: 5 * time.Second,
		LongestProbePause: time.Minute}
}

// Power is the power interface snmp.
type Power struct {
	cfg   Config
	lines *bmc.Lines
}

// NewPower returns the power interface snmp.
func NewPower(cfg Config, log zerolog.Logger) *Power {
	return &Power{cfg: cfg, lines: bmc.NewLines(cfg.ProbePause, cfg.LongestProbePause, log)}
}

// Properties describes how a node names its outlet.
func (*Power) Properties() map[string]string { return maps.Clone(properties) }

// Validate checks driver_info.
func (*Power) Validate(_ context.Context, t *drivers.Task) error {
	_, err := parseDriverInfo(t.Node)
	return err
}

// Steps are none.
func (*Power) Steps(drivers.StepKind) []drivers.Step { return nil }

// SupportedPowerStates are on, off and both.
func (*Power) SupportedPowerStates(*drivers.Task) []string {
	return []string{store.PowerOn, store.PowerOff, store.Reboot}
}

// SupportsPowerSync is true: an outlet does what it is told.
func (*Power) SupportsPowerSync(*drivers.Task) bool { return true }

// Controller is the address of the power strip, which many nodes share.
func (*Power) Controller(n *store.Node) string {
	to, err := parseDriverInfo(n)
	if err != nil {
		return ""
	}
	return to.key()
}

// PowerState reads the outlet's state. A value that means neither on nor off is the state error.
func (p *Power) PowerState(ctx context.Context, t *drivers.Task) (state string, err error) {
	err = p.onOutlet(ctx, t, func(o *outlet) error {
		state, err = o.state()
		return err
	})
	return state, err
}

// SetPowerState switches on or off and waits for it. As in ironic the options say for how long, not the caller.
func (p *Power) SetPowerState(ctx context.Context, t *drivers.Task, state string, _ time.Duration) error {
	if state != store.PowerOn && state != store.PowerOff {
		return store.Errorf(store.InvalidParameterValue, "set_power_state called with invalid power state %s.", state)
	}
	return p.onOutlet(ctx, t, func(o *outlet) error { return o.change(state) })
}

// Reboot switches off and on.
func (p *Power) Reboot(ctx context.Context, t *drivers.Task, _ time.Duration) error {
	return p.onOutlet(ctx, t, func(o *outlet) error {
		err := o.change(store.PowerOff)
		if err == nil {
			err = drivers.Pause(ctx, p.cfg.RebootDelay)
		}
		if err == nil {
			err = o.change(store.PowerOn)
		}
		if store.KindOf(err) == store.PowerStateFailure {
			return notReached(store.PowerOn)
		}
		return err
	})
}

// outlet is one outlet of a power strip that is being spoken to.
type outlet struct {
	ctx   context.Context
	p     *Power
	line  *bmc.Line
	log   zerolog.Logger
	to    target
	pdu   pdu
	tasks *drivers.Task
}

// onOutlet calls do with the node's outlet. One node at a time speaks to a power strip.
func (p *Power) onOutlet(ctx context.Context, t *drivers.Task, do func(*outlet) error) error {
	to, err := parseDriverInfo(t.Node)
	if err != nil {
		return err
	}
	o := &outlet{ctx: ctx, p: p, line: p.lines.To(to.key()), log: t.Log, to: to, pdu: pdus[to.family], tasks: t}
	defer p.lines.Drop(o.line)
	if err := o.line.Enter(bmc.WithAsking(ctx, bmc.Asking{Routine: t.Routine})); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return store.Errorf(store.SNMPFailure, "SNMP operation 'GET' failed: %w", err)
	}
	defer o.line.Leave()
	if to.family == auto {
		if err := o.recognise(); err != nil {
			return err
		}
	}
	return do(o)
}

// sysObjectID is the object by which a power strip says what it is.
const sysObjectID = ".1.3.6.1.2.1.1.2.0"

func (o *outlet) recognise() error {
	v, err := o.get(sysObjectID)
	if err != nil {
		return err
	}
	id, _ := v.Value.(string)
	family, known := familyOf(id)
	if !known {
		return store.Errorf(store.InvalidParameterValue, "SNMPDriverAuto: no driver matching %s", id)
	}
	o.pdu = family
	return nil
}

func (o *outlet) state() (string, error) {
	v, err := o.get(object(o.pdu.status, o.to.outlet))
	if err != nil {
		return "", err
	}
	value := int(gosnmp.ToBigInt(v.Value).Int64())
	switch {
	case v.Type != gosnmp.Integer:
	case slices.Contains(o.pdu.isOn, value):
		return store.PowerOn, nil
	case slices.Contains(o.pdu.isOff, value):
		return store.PowerOff, nil
	}
	o.log.Warn().Str("pdu", o.to.address).Int("outlet", o.to.outlet).Interface("value", v.Value).
		Msg("An outlet's power state is unknown")
	return store.PowerError, nil
}

func notReached(state string) error {
	return store.Errorf(store.PowerStateFailure, "Failed to set node power state to %s.", state)
}

// change switches the outlet and waits until it says so.
func (o *outlet) change(state string) error {
	at, value := o.pdu.setOff, o.pdu.off
	if state == store.PowerOn {
		at, value = o.pdu.setOn, o.pdu.on
		if err := drivers.Pause(o.ctx, o.p.cfg.ActionDelay); err != nil {
			return err
		}
	}
	if err := o.set(object(at, o.to.outlet), value); err != nil {
		return err
	}
	if state == store.PowerOff {
		if err := drivers.Pause(o.ctx, o.p.cfg.ActionDelay); err != nil {
			return err
		}
	}
	for end := time.Now().Add(o.p.cfg.PowerTimeout); ; {
		now, err := o.state()
		switch {
		case err != nil:
			return err
		case now == state:
			return nil
		case time.Now().Add(o.p.cfg.Poll).After(end):
			return notReached(state)
		}
		if err := drivers.Pause(o.ctx, o.p.cfg.Poll); err != nil {
			return err
		}
	}
}

var (
	_ drivers.Power      = (*Power)(nil)
	_ drivers.Controlled = (*Power)(nil)
)
