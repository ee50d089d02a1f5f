package ilo

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// Power is the power interface ilo. A machine is switched off by holding its power button; whether it is off or on is told by
// the state of its power-on self test, where the iLO tells that.
type Power struct{ base }

// NewPower returns the power interface ilo.
func NewPower(c *redfish.Client, cfg Config) *Power { return &Power{newBase(c, cfg)} }

// Properties describes how a node names its iLO.
func (*Power) Properties() map[string]string {
	all := maps.Clone(requiredProperties)
	maps.Copy(all, optionalProperties)
	return all
}

// Validate checks driver_info.
func (p *Power) Validate(_ context.Context, t *drivers.Task) error { return p.bmcs.Validate(t.Node) }

// Controller is the address of the node's iLO.
func (p *Power) Controller(n *store.Node) string { return p.bmcs.Address(n) }

// SupportsPowerSync is true: the iLO does what it is told.
func (*Power) SupportsPowerSync(*drivers.Task) bool { return true }

// SupportedPowerStates are all that ironic knows.
func (*Power) SupportedPowerStates(*drivers.Task) []string {
	return []string{store.PowerOff, store.PowerOn, store.Reboot, store.SoftPowerOff, store.SoftReboot}
}

// PowerState reads the power; what an iLO does not tell is an error, as ironic has it.
func (p *Power) PowerState(ctx context.Context, t *drivers.Task) (state string, err error) {
	err = p.bmcs.Do(ctx, t, "iLO get_power_status", func(s *redfish.System) error {
		if state = s.Power(); state == "" {
			state = store.PowerError
		}
		return nil
	})
	return state, err
}

// SetPowerState switches on or off, hard or soft, and waits for it. A machine that is there already is left alone: the button of one
// that is off would not be held for nothing.
func (p *Power) SetPowerState(ctx context.Context, t *drivers.Task, state string, timeout time.Duration) error {
	if !slices.Contains(p.SupportedPowerStates(t), state) {
		return store.Errorf(store.InvalidParameterValue, "_set_power_state called with invalid power state '%s'", state)
	}
	return p.bmcs.Do(ctx, t, "iLO set_power_state", func(s *redfish.System) error {
		return p.change(s, state, p.timeout(timeout))
	})
}

// Reboot resets a machine that is on, and switches one on that is off.
func (p *Power) Reboot(ctx context.Context, t *drivers.Task, timeout time.Duration) error {
	return p.bmcs.Do(ctx, t, "iLO set_power_state", func(s *redfish.System) error {
		if s.Power() == store.PowerOff {
			return p.change(s, store.PowerOn, p.timeout(timeout))
		}
		return p.change(s, store.Reboot, p.timeout(timeout))
	})
}

// Steps offers none.
func (*Power) Steps(drivers.StepKind) []drivers.Step { return nil }

func (p *Power) timeout(asked time.Duration) time.Duration {
	if asked > 0 {
		return asked
	}
	return p.cfg.PowerTimeout
}

func (p *Power) change(s *redfish.System, state string, timeout time.Duration) error {
	off := s.Power() == store.PowerOff
	switch state {
	case store.PowerOn:
		if s.PowerState == schemas.OnPowerState {
			return nil
		}
		return p.on(s, state, timeout)
	case store.PowerOff, store.SoftPowerOff:
		if s.PowerState == schemas.OffPowerState {
			return nil
		}
		return p.off(s, state, timeout)
	case store.SoftReboot:
		began := time.Now()
		if !off {
			if err := p.off(s, store.SoftPowerOff, timeout); err != nil {
				return err
			}
		}
		return p.on(s, state, timeout-time.Since(began))
	}
	if err := s.ResetTo(schemas.ForceRestartResetType); err != nil {
		return err
	}
	return p.await(s, store.PowerOn, timeout, running)
}

// off holds the power button, or presses it for a soft power off.
func (p *Power) off(s *redfish.System, state string, timeout time.Duration) error {
	push := "PressAndHold"
	if state == store.SoftPowerOff {
		push = "Press"
	}
	if err := pressButton(s, push); err != nil {
		return err
	}
	return p.await(s, state, timeout, func(s *redfish.System) bool {
		post := readExtension(s).PostState
		return s.Power() == store.PowerOff && (post == "" || post == postOff)
	})
}

// on switches on. After a soft reboot the end of the self test is waited for; otherwise its beginning does, for a machine
// that finds nothing to boot never ends it.
func (p *Power) on(s *redfish.System, state string, timeout time.Duration) error {
	if err := s.ResetTo(schemas.OnResetType); err != nil {
		return err
	}
	arrived := running
	if state == store.SoftReboot {
		arrived = func(s *redfish.System) bool {
			post := readExtension(s).PostState
			return s.Power() == store.PowerOn && (post == "" || post == postFinished)
		}
	}
	return p.await(s, state, timeout, arrived)
}

func running(s *redfish.System) bool {
	post := readExtension(s).PostState
	return s.Power() == store.PowerOn && (post == "" || slices.Contains(postRunning, post))
}

func (p *Power) await(s *redfish.System, state string, timeout time.Duration, arrived func(*redfish.System) bool) error {
	inTime, err := s.Await(timeout, p.cfg.PowerWait, func() bool { return arrived(s) })
	if err == nil && !inTime {
		return store.Errorf(store.PowerStateFailure, "Failed to set node power state to %s.", state)
	}
	return err
}

// pressButton uses HPE's action, and the standard's reset types on an iLO that lacks it.
func pressButton(s *redfish.System, push string) error {
	if target := readExtension(s).action("PowerButton"); target != "" {
		_, err := s.Act(target, map[string]string{"PushType": push})
		return err
	}
	if push == "Press" {
		return s.ResetTo(schemas.PushPowerButtonResetType, schemas.GracefulShutdownResetType)
	}
	return s.ResetTo(schemas.ForceOffResetType)
}

var (
	_ drivers.Power      = (*Power)(nil)
	_ drivers.Controlled = (*Power)(nil)
)
