package agent

import (
	"context"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Rescue is the rescue interface agent: the node boots a ramdisk whose agent sets the user's password.
type Rescue struct{ cfg Config }

// NewRescue returns the rescue interface agent.
func NewRescue(cfg Config) *Rescue { return &Rescue{cfg} }

var _ drivers.Rescue = (*Rescue)(nil)

// Properties are none.
func (*Rescue) Properties() map[string]string { return map[string]string{} }

// Steps are none.
func (*Rescue) Steps(drivers.StepKind) []drivers.Step { return nil }

// Validate asks for something to boot and for a password that is more than white space.
func (r *Rescue) Validate(ctx context.Context, t *drivers.Task) error {
	if err := t.Hardware.Network.ValidateRescue(ctx, t); err != nil {
		return err
	}
	if r.cfg.ManageBoot {
		if err := t.Hardware.Boot.Validate(ctx, t); err != nil {
			return err
		}
		boot, ok := t.Hardware.Boot.(drivers.RescueBoot)
		if !ok {
			return drivers.Unsupported(t, "validate_rescue")
		}
		if err := boot.ValidateRescue(ctx, t); err != nil {
			return err
		}
	}
	password, given := t.Node.InstanceInfo[drivers.KeyRescuePassword]
	if !given || password == nil {
		return store.Errorf(store.MissingParameterValue,
			"Node %s is missing 'instance_info/rescue_password'. It is required for rescuing node.", t.Node.UUID)
	}
	if strings.TrimSpace(t.Node.InstanceInfo.String(drivers.KeyRescuePassword)) == "" {
		return store.Errorf(store.InvalidParameterValue, "The 'instance_info/rescue_password' is an empty string for node %s. "+
			"The 'rescue_password' must be a non-empty string value.", t.Node.UUID)
	}
	return nil
}

// Rescue switches the node off, takes it from its tenant's networks and boots the ramdisk.
func (r *Rescue) Rescue(ctx context.Context, t *drivers.Task) (drivers.Outcome, error) {
	if err := powerOffUnseen(ctx, t); err != nil {
		return drivers.Done, err
	}
	return r.cfg.bootBesideInstance(ctx, t, t.Hardware.Network.AddRescuingNetwork, store.PowerOn)
}

// bootBesideInstance takes a node from its instance and its tenant's networks, and boots the ramdisk on a network of its own. power is
// what starts the machine.
func (c Config) bootBesideInstance(ctx context.Context, t *drivers.Task, connect func(context.Context, *drivers.Task) error,
	power string) (drivers.Outcome, error) {
	if err := t.Hardware.Boot.CleanUpInstance(ctx, t); err != nil {
		return drivers.Done, err
	}
	if err := drivers.Rewire(ctx, t, t.Hardware.Network.UnconfigureTenantNetworks, connect); err != nil {
		return drivers.Done, err
	}
	if err := c.prepareRamdisk(ctx, t); err != nil {
		return drivers.Done, err
	}
	if err := t.Worker.SetPower(ctx, t, power); err != nil {
		return drivers.Done, err
	}
	t.Worker.Report(t, drivers.Progress{Doing: "waiting for the agent to boot", Waiting: true})
	return drivers.Waiting, nil
}

// Unrescue switches the node off, takes the ramdisk away and boots the instance.
func (r *Rescue) Unrescue(ctx context.Context, t *drivers.Task) error {
	if err := powerOffUnseen(ctx, t); err != nil {
		return err
	}
	if err := r.CleanUp(ctx, t); err != nil {
		return err
	}
	if err := drivers.Rewire(ctx, t, t.Hardware.Network.ConfigureTenantNetworks); err != nil {
		return err
	}
	if err := t.Hardware.Boot.PrepareInstance(ctx, t); err != nil {
		return err
	}
	return t.Worker.SetPower(ctx, t, store.PowerOn)
}

// CleanUp takes away what booted the ramdisk, and then the password, whatever else went wrong: for a node whose rescue has
// failed or was aborted, a password that is still in the row tells that nobody has cleaned up.
func (r *Rescue) CleanUp(ctx context.Context, t *drivers.Task) error {
	err := r.cleanUpBoot(ctx, t)
	if err == nil {
		err = drivers.Rewire(ctx, t, t.Hardware.Network.RemoveRescuingNetwork)
	}
	if ctx.Err() != nil {
		return err
	}
	drivers.ForgetRescuePassword(t.Node)
	if saveErr := t.Worker.Save(ctx, t); saveErr != nil {
		return saveErr
	}
	return err
}

func (r *Rescue) cleanUpBoot(ctx context.Context, t *drivers.Task) error {
	if !r.cfg.ManageBoot {
		return nil
	}
	return t.Hardware.Boot.CleanUpRamdisk(ctx, t)
}

// FinalizeRescue runs rescue.finalize_rescue. An agent of a release before 6.0 takes a password only as it was given; it gets
// that unless onlyHashed forbids it.
func (d *Deploy) FinalizeRescue(ctx context.Context, t *drivers.Task, onlyHashed bool) error {
	node := t.Node
	hashed := node.InstanceInfo.String(drivers.KeyHashedRescuePassword)
	if hashed == "" {
		return drivers.RescueFailure(node, "Agent rescue requires rescue_password in instance_info")
	}
	const method = "rescue.finalize_rescue"
	answer, err := d.client.do(ctx, node, request{method: method,
		params: store.Dict{"rescue_password": hashed, "hashed": true}})
	if store.KindOf(err) == store.AgentAPIError {
		if onlyHashed {
			return drivers.RescueFailure(node, "Unable to rescue node due to an out of date agent ramdisk. Please contact the administrator to update "+
				"the rescue ramdisk to contain an ironic-python-agent version of at least 6.0.0.")
		}
		t.Log.Warn().Err(err).Msg("the agent refuses a hashed password; it gets the password as it was given")
		answer, err = d.client.do(ctx, node, request{method: method,
			params: store.Dict{"rescue_password": node.InstanceInfo.String(drivers.KeyRescuePassword)}})
	}
	if err != nil {
		return drivers.RescueFailure(node, "%w", err)
	}
	if answer.Status != statusSucceeded {
		return drivers.RescueFailure(node, "Agent returned bad result for command finalize_rescue: %s", answer.failure())
	}
	return nil
}
