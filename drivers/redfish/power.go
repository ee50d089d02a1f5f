package redfish

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Power is the power interface redfish.
type Power struct{ base }

// NewPower returns the power interface redfish.
func NewPower(c *Client) *Power { return NewPowerOf(c.Plain()) }

// NewPowerOf returns a power interface like redfish for other BMCs.
func NewPowerOf(b *BMCs) *Power { return &Power{base{b}} }

// Validate checks driver_info.
func (p *Power) Validate(_ context.Context, t *drivers.Task) error {
	return p.bmcs.Validate(t.Node)
}

// changes are the power states that can be asked for: the reset types that lead there, best first, and where.
var changes = map[string]struct {
	types []schemas.ResetType
	end   string
}{
	store.PowerOn:      {[]schemas.ResetType{schemas.OnResetType, schemas.ForceOnResetType}, store.PowerOn},
	store.PowerOff:     {[]schemas.ResetType{schemas.ForceOffResetType}, store.PowerOff},
	store.Reboot:       {[]schemas.ResetType{schemas.ForceRestartResetType, schemas.PowerCycleResetType}, store.PowerOn},
	store.SoftReboot:   {[]schemas.ResetType{schemas.GracefulRestartResetType}, store.PowerOn},
	store.SoftPowerOff: {[]schemas.ResetType{schemas.GracefulShutdownResetType}, store.PowerOff},
}

// SupportedPowerStates are all that ironic knows.
func (*Power) SupportedPowerStates(*drivers.Task) []string {
	return []string{store.PowerOn, store.PowerOff, store.Reboot, store.SoftReboot, store.SoftPowerOff}
}

// Controller is the address of the node's BMC.
func (p *Power) Controller(n *store.Node) string { return p.bmcs.Address(n) }

// SupportsPowerSync is true: the BMC does what it is told.
func (*Power) SupportsPowerSync(*drivers.Task) bool { return true }

// PowerState reads ComputerSystem.PowerState. A machine on its way counts as arrived.
func (p *Power) PowerState(ctx context.Context, t *drivers.Task) (state string, err error) {
	err = p.on(ctx, t, "get_power_state", func(s *system) error {
		state = s.power()
		return nil
	})
	return state, err
}

func (s *system) power() string {
	switch s.PowerState {
	case schemas.OnPowerState, schemas.PoweringOnPowerState:
		return store.PowerOn
	case schemas.OffPowerState, schemas.PoweringOffPowerState:
		return store.PowerOff
	}
	return ""
}

// SetPowerState switches on or off, hard or soft, and waits for it. A machine that is there already is left alone.
func (p *Power) SetPowerState(ctx context.Context, t *drivers.Task, state string, timeout time.Duration) error {
	if _, known := changes[state]; !known {
		return store.Errorf(store.InvalidParameterValue, "set_power_state called with an invalid power state: %s.", state)
	}
	return p.on(ctx, t, "set_power_state", func(s *system) error {
		if s.settled(state) {
			return nil
		}
		if err := s.change(state, p.timeout(timeout)); err != nil && !s.arrived(err, changes[state].end) {
			return s.told(err, fmt.Sprintf("Setting power state to %s failed for node %s. Error: ", state, t.Node.UUID))
		}
		return nil
	})
}

// settled tells that a machine is in a state and not merely on the way.
func (s *system) settled(state string) bool {
	switch state {
	case store.PowerOn:
		return s.PowerState == schemas.OnPowerState
	case store.PowerOff, store.SoftPowerOff:
		return s.PowerState == schemas.OffPowerState
	}
	return false
}

// arrived tells that a BMC has refused to bring its machine where it is already.
func (s *system) arrived(err error, end string) bool {
	if !s.session.cfg.ForgivesRefusals {
		return false
	}
	if status := statusOf(err); status != http.StatusBadRequest && status != http.StatusConflict || s.refresh() != nil {
		return false
	}
	now, hint := s.power(), map[string]string{store.PowerOn: "powered on", store.PowerOff: "powered off"}[end]
	return now == end || now == "" && (says(err, "already "+hint) || says(err, "host is "+hint))
}

// Reboot switches off, when the machine is on, and on again. One that must not be switched off is restarted.
func (p *Power) Reboot(ctx context.Context, t *drivers.Task, timeout time.Duration) error {
	return p.on(ctx, t, "set_power_state", func(s *system) error {
		steps := []string{store.PowerOn}
		switch stays := t.Node.DisablePowerOff; {
		case s.power() != store.PowerOn:
		case stays != nil && *stays:
			steps = []string{store.Reboot}
		default:
			steps = []string{store.PowerOff, store.PowerOn}
		}
		for _, state := range steps {
			if err := s.change(state, p.timeout(timeout)); err != nil {
				return s.told(err, fmt.Sprintf("Reboot failed for node %s when setting power state to %s. Error: ",
					t.Node.UUID, state))
			}
		}
		return nil
	})
}

func (p *Power) timeout(asked time.Duration) time.Duration {
	if asked > 0 {
		return asked
	}
	return p.bmcs.client.cfg.PowerTimeout
}

// told words a failure of an operation as ironic does; what already is worded, and a caller who gave up, stay as they are.
// secrets do not show, even when the BMC quotes them.
func (s *system) told(err error, preface string, secrets ...string) error {
	var known *store.Error
	if errors.As(err, &known) || s.ctx.Err() != nil || statusOf(err) == 401 {
		return err
	}
	reason := withoutSecret(s.Explain(err), secrets...)
	text := preface + reason
	switch {
	case s.failed != nil:
		return s.failed(reason)
	case unreachable(err):
		return store.Errorf(store.RedfishConnectionError, "Redfish connection failed for node %s: %s", s.task.Node.UUID, text)
	}
	return redfishError("%s", text)
}

// change sends the reset and waits for its effect. Before a start the boot device that the BMC cannot remember is set again.
func (s *system) change(state string, timeout time.Duration) error {
	plan := changes[state]
	if state != store.PowerOff && state != store.SoftPowerOff {
		s.restoreBootDevice()
	}
	if err := s.resetDespiteConflicts(state, plan.types); err != nil {
		return err
	}
	// gofail: var powerAsked struct{}
	if state == store.Reboot {
		if err := drivers.Pause(s.ctx, s.session.cfg.RestartPause); err != nil {
			return err
		}
	}
	return s.await(plan.end, timeout)
}

// resetDespiteConflicts is reset for BMCs that refuse for a while after a power off to switch on again.
func (s *system) resetDespiteConflicts(state string, types []schemas.ResetType) error {
	for retries := 0; ; retries++ {
		err := s.reset(types...)
		if state != store.PowerOn || statusOf(err) != http.StatusConflict || !says(err, "ActionParameterValueConflict") ||
			retries >= s.session.cfg.ConflictRetries {
			return err
		}
		s.task.Log.Warn().Int("retry", retries+1).Msg("the BMC does not switch its machine on yet; it is told again later")
		if err := drivers.Pause(s.ctx, s.session.cfg.ConflictInterval); err != nil {
			return err
		}
	}
}

// await polls the power state until it is the one wanted.
func (s *system) await(state string, timeout time.Duration) error {
	reached, err := s.poll(timeout, s.session.cfg.PowerPoll, func() bool { return s.power() == state })
	if err == nil && !reached {
		return store.Errorf(store.PowerStateFailure, "Failed to set node power state to %s.", state)
	}
	return err
}

// poll reads the system again until it is as wanted, quickly first and slower later; it tells whether it was in time. A BMC that
// cannot be asked for a moment, as many cannot while they switch, is asked again until the time is over.
func (s *system) poll(timeout, pause time.Duration, wanted func() bool) (bool, error) {
	ctx, cancel := context.WithTimeout(s.ctx, timeout)
	defer cancel()
	const slowest = 5 * time.Second
	api := s.api
	// The system that was read last would send what follows with a context that has ended.
	defer func() {
		s.api = api
		s.SetClient(api)
	}()
	s.api = api.WithContext(ctx)
	var last error
	for wait := pause; ; wait = min(wait*3/2, slowest) {
		if drivers.Pause(ctx, wait) == nil {
			last = s.refresh()
		}
		switch {
		case s.ctx.Err() != nil:
			return false, s.ctx.Err()
		case last == nil && ctx.Err() == nil && wanted():
			return true, nil
		case ctx.Err() != nil:
			return false, nil
		case last != nil && !unreachable(last) && statusOf(last) < 500:
			return false, last
		}
	}
}

var (
	_ drivers.Power      = (*Power)(nil)
	_ drivers.Controlled = (*Power)(nil)
)
