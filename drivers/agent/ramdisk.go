package agent

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Ramdisk is the deploy interface ramdisk: the instance is a ramdisk or an ISO that the machine boots at each start, and no disk
// is written. Agents run for cleaning alone.
type Ramdisk struct {
	*Deploy
	// fromImage lets a Glance image say what is booted, as ironic does since 35.0.
	fromImage bool
}

// NewRamdisk returns the deploy interface ramdisk. How agents clean is direct's.
func NewRamdisk(direct *Deploy, fromImage bool) *Ramdisk { return &Ramdisk{direct, fromImage} }

var (
	_ drivers.Deploy = (*Ramdisk)(nil)
	_ drivers.Agent  = (*Ramdisk)(nil)
)

// Properties are none.
func (*Ramdisk) Properties() map[string]string { return map[string]string{} }

// Validate checks that the boot interface can boot such an instance.
func (r *Ramdisk) Validate(ctx context.Context, t *drivers.Task) error {
	if !drivers.Can(t.Hardware.Boot, drivers.CanBootRamdisk) {
		return store.Errorf(store.InvalidParameterValue, "Invalid configuration: The boot interface must have the `ramdisk_boot` "+
			"capability. You are using an incompatible boot interface.")
	}
	if err := t.Hardware.Boot.Validate(ctx, t); err != nil {
		return err
	}
	return drivers.ValidateCapabilities(t.Node)
}

// Steps is one: the machine is made to boot its instance.
func (r *Ramdisk) Steps(kind drivers.StepKind) []drivers.Step {
	if kind != drivers.DeployStep {
		return nil
	}
	return []drivers.Step{{Interface: drivers.TypeDeploy, Name: "deploy", Priority: 100, Run: r.deploy}}
}

// CachedSteps leaves out what an agent offers for deployments, for none takes part in them.
func (r *Ramdisk) CachedSteps(t *drivers.Task, kind drivers.StepKind, iface drivers.InterfaceType) ([]drivers.Step, bool) {
	if kind == drivers.DeployStep {
		return nil, true
	}
	return r.Deploy.CachedSteps(t, kind, iface)
}

// Prepare switches the machine off. A machine that is taken over, or that comes back from a rescue, is made to boot its instance
// again.
func (r *Ramdisk) Prepare(ctx context.Context, t *drivers.Task) error {
	if err := drivers.RememberBootVolume(ctx, t); err != nil {
		return err
	}
	switch t.Node.ProvisionState {
	case store.Deploying:
		if err := t.Hardware.Network.Validate(ctx, t); err != nil {
			return err
		}
		if err := t.Worker.SetPower(ctx, t, store.PowerOff); err != nil {
			return err
		}
		if err := t.Hardware.Storage.AttachVolumes(ctx, t); err != nil || !r.fromImage {
			return err
		}
		return r.takeFromImage(ctx, t)
	case store.Active, store.Unrescuing:
		return t.Hardware.Boot.PrepareInstance(ctx, t)
	}
	return nil
}

// deploy is the step deploy.deploy. All of it may run again: the machine is off until the end.
func (r *Ramdisk) deploy(ctx context.Context, t *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
	if t.Node.InstanceInfo[keyConfigDrive] != nil && !drivers.Can(t.Hardware.Boot, drivers.CanBootRamdiskWithDrive) {
		t.Log.Warn().Str("boot_interface", t.Node.BootInterface).
			Msg("The boot interface cannot show a ramdisk its config drive, which is ignored")
	}
	return drivers.Done, bootTenant(ctx, t)
}

// bootTenant starts what the boot interface boots for an instance, on the tenant's networks.
func bootTenant(ctx context.Context, t *drivers.Task) error {
	if err := t.Worker.SetPower(ctx, t, store.PowerOff); err != nil {
		return err
	}
	// What the machine boots may come over these networks.
	if err := drivers.Rewire(ctx, t, t.Hardware.Network.ConfigureTenantNetworks); err != nil {
		return err
	}
	if err := t.Hardware.Boot.PrepareInstance(ctx, t); err != nil {
		return err
	}
	// gofail: var instanceOffered struct{}
	return t.Worker.SetPower(ctx, t, store.PowerOn)
}
