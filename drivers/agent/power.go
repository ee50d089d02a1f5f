package agent

import (
	"context"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Power is the power interface agent, for machines without a BMC: it can only reboot a node on which an agent runs.
type Power struct {
	cfg    Config
	client client
}

// NewPower returns the power interface agent.
func NewPower(cfg Config) *Power { return &Power{cfg: cfg, client: client{cfg}} }

var _ drivers.Power = (*Power)(nil)

// Properties are none.
func (*Power) Properties() map[string]string { return map[string]string{} }

// Steps are none.
func (*Power) Steps(drivers.StepKind) []drivers.Step { return nil }

// Validate asks for fast track and an agent that is alive.
func (p *Power) Validate(_ context.Context, t *drivers.Task) error {
	on, err := p.cfg.fastTrackEnabled(t.Node)
	if err != nil {
		return err
	}
	if !on {
		return store.Errorf(store.InvalidParameterValue, "Fast track mode must be enabled to use the agent power interface")
	}
	if !p.cfg.alive(t.Node, time.Now()) {
		return store.Errorf(store.InvalidParameterValue,
			"Agent seems offline for node %s, the agent power interface cannot be used", t.Node.UUID)
	}
	return nil
}

// PowerState is on while an agent is alive and unknown otherwise.
func (p *Power) PowerState(_ context.Context, t *drivers.Task) (string, error) {
	if p.cfg.alive(t.Node, time.Now()) {
		return store.PowerOn, nil
	}
	return "", nil
}

// SetPowerState takes the reboots; everything else is PowerStateFailure.
func (p *Power) SetPowerState(ctx context.Context, t *drivers.Task, state string, timeout time.Duration) error {
	if state == store.Reboot || state == store.SoftReboot {
		return p.Reboot(ctx, t, timeout)
	}
	return store.Errorf(store.PowerStateFailure, "Failed to set node power state to %s.", state)
}

// Reboot asks the agent to reboot and forgets it, because the next one has another URL and, unless its token was made
// beforehand, another token.
func (p *Power) Reboot(ctx context.Context, t *drivers.Task, _ time.Duration) error {
	if _, err := p.client.do(ctx, t.Node, request{method: "standby.run_image", params: store.Dict{}}); err != nil {
		return err
	}
	info := internalInfo(t.Node)
	if !info.Bool(drivers.KeyTokenPregenerated, false) {
		delete(info, drivers.KeyAgentToken)
	}
	delete(info, "agent_url")
	if err := t.Worker.Save(ctx, t); err != nil {
		return err
	}
	return drivers.Pause(ctx, p.cfg.RebootPause)
}

// SupportedPowerStates are the reboots.
func (*Power) SupportedPowerStates(*drivers.Task) []string {
	return []string{store.Reboot, store.SoftReboot}
}

// SupportsPowerSync is false: nothing could be forced.
func (*Power) SupportsPowerSync(*drivers.Task) bool { return false }
