package agent

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Anaconda is the deploy interface anaconda: the machine boots the installer of Fedora and Red Hat from the network, which installs it
// as a kickstart file says, and tells ironic-api of its beginning and end. Agents run for cleaning alone.
type Anaconda struct {
	*Deploy
	// provisioning has the installer run in the provisioning network, as ironic does since 37.0; before, in the tenant's.
	provisioning bool
}

// NewAnaconda returns the deploy interface anaconda. How images are served and agents clean is direct's.
func NewAnaconda(direct *Deploy, provisioningNetwork bool) *Anaconda {
	return &Anaconda{direct, provisioningNetwork}
}

var (
	_ drivers.Deploy    = (*Anaconda)(nil)
	_ drivers.Agent     = (*Anaconda)(nil)
	_ drivers.Installer = (*Anaconda)(nil)
)

// Properties are none.
func (*Anaconda) Properties() map[string]string { return map[string]string{} }

// Validate leaves everything to the boot interface.
func (a *Anaconda) Validate(ctx context.Context, t *drivers.Task) error {
	return t.Hardware.Boot.Validate(ctx, t)
}

// Steps is one: the machine is made to install itself.
func (a *Anaconda) Steps(kind drivers.StepKind) []drivers.Step {
	if kind != drivers.DeployStep {
		return nil
	}
	return []drivers.Step{{Interface: drivers.TypeDeploy, Name: "deploy", Priority: 100, Run: a.install, Resume: a.resumeInstall,
		ReadsFromWorker: true}}
}

// CachedSteps leaves out what an agent offers for deployments, for none takes part in them.
func (a *Anaconda) CachedSteps(t *drivers.Task, kind drivers.StepKind, iface drivers.InterfaceType) ([]drivers.Step, bool) {
	if kind == drivers.DeployStep {
		return nil, true
	}
	return a.Deploy.CachedSteps(t, kind, iface)
}

// What an installer says of itself.
const (
	keyStatus        = "agent_status"
	keyStatusMessage = "agent_status_message"
	statusStart      = "start"
	statusEnd        = "end"
)

// Prepare switches the machine off and makes the image ready for the installer.
func (a *Anaconda) Prepare(ctx context.Context, t *drivers.Task) error {
	if err := drivers.RememberBootVolume(ctx, t); err != nil {
		return err
	}
	switch t.Node.ProvisionState {
	case store.Deploying:
	case store.Active, store.Unrescuing:
		return t.Hardware.Boot.PrepareInstance(ctx, t)
	default:
		return nil
	}
	if !drivers.Can(t.Hardware.Boot, drivers.CanBootPXE) && !drivers.Can(t.Hardware.Boot, drivers.CanBootIPXE) {
		// Ironic would wait for an installer that nobody boots.
		return store.Errorf(store.InvalidParameterValue, "Boot interface %s of node %s cannot boot an installer from the network, which "+
			"the deploy interface anaconda needs", t.Node.BootInterface, t.Node.UUID)
	}
	if err := t.Hardware.Network.Validate(ctx, t); err != nil {
		return err
	}
	if err := t.Worker.SetPower(ctx, t, store.PowerOff); err != nil {
		return err
	}
	if a.provisioning {
		network := t.Hardware.Network
		if err := drivers.Rewire(ctx, t, network.UnconfigureTenantNetworks, network.AddProvisioningNetwork); err != nil {
			return err
		}
	}
	if err := t.Hardware.Storage.AttachVolumes(ctx, t); err != nil {
		return err
	}
	// What an installer of an earlier deployment said is not this one's.
	forgetInstaller(t.Node)
	return a.supply(ctx, t)
}

// supply finds out what the installer installs: an image, or a tree of packages, which stays where it is.
func (a *Anaconda) supply(ctx context.Context, t *drivers.Task) error {
	if !t.Node.DriverInternalInfo.Bool("is_source_a_path", false) {
		return a.buildInstanceInfo(ctx, t)
	}
	info := t.Node.InstanceInfo.Clone()
	if _, err := a.locateImage(ctx, t, info); err != nil {
		return err
	}
	t.Node.InstanceInfo = info
	return t.Worker.Save(ctx, t)
}

// forgetInstaller forgets what an installer has said, and the token by which it may speak.
func forgetInstaller(n *store.Node) {
	info := internalInfo(n)
	for _, key := range []string{keyStatus, keyStatusMessage, drivers.KeyAgentToken, drivers.KeyTokenPregenerated} {
		delete(info, key)
	}
}

// install is the step deploy.deploy: it starts the installer and leaves the rest to it.
func (a *Anaconda) install(ctx context.Context, t *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
	// Crash window: the row without the token is saved before the machine is switched off. From then on nobody listens to an
	// installer that may run, which begins only when it was heard.
	forgetInstaller(t.Node)
	if err := t.Worker.SetPower(ctx, t, store.PowerOff); err != nil {
		return drivers.Done, err
	}
	// What an earlier run of this worker, or a worker that is gone, served is gone with it.
	if err := a.ensureServed(ctx, t); err != nil {
		return drivers.Done, err
	}
	if !a.provisioning {
		if err := drivers.Rewire(ctx, t, t.Hardware.Network.ConfigureTenantNetworks); err != nil {
			return drivers.Done, err
		}
	}
	if err := t.Hardware.Boot.PrepareInstance(ctx, t); err != nil {
		return drivers.Done, err
	}
	// gofail: var installerOffered struct{}
	if err := t.Worker.SetPower(ctx, t, store.PowerOn); err != nil {
		return drivers.Done, err
	}
	t.Worker.Report(t, drivers.Progress{Doing: "waiting for the installer", Waiting: true})
	return drivers.Waiting, nil
}

// ensureServed has this worker serve the image when the URL in the row is that of a worker which is gone. A tree is served elsewhere.
func (a *Anaconda) ensureServed(ctx context.Context, t *drivers.Task) error {
	if t.Node.DriverInternalInfo.Bool("is_source_a_path", false) {
		return nil
	}
	return a.Deploy.ensureServed(ctx, t)
}

// resumeInstall goes on with an installation that was begun, and ends one whose installer has said that it is done. An installer
// that has begun is left alone, whoever it reads from: should that be gone, it says that it failed. Any other machine is started anew,
// for it may have looked in vain for what it boots. Its installer has written nothing, or has said that it failed.
func (a *Anaconda) resumeInstall(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	switch t.Node.DriverInternalInfo.String(keyStatus) {
	case statusEnd:
		return drivers.Done, a.FinishInstall(ctx, t)
	case statusStart:
		return drivers.Waiting, nil
	}
	return a.install(ctx, t, args)
}

// RebootAgent starts an installation anew whose installer was not heard of.
func (a *Anaconda) RebootAgent(ctx context.Context, t *drivers.Task) error {
	if t.Node.ProvisionState != store.DeployWait {
		return a.Deploy.RebootAgent(ctx, t)
	}
	_, err := a.resumeInstall(ctx, t, nil)
	return err
}

// FinishInstall makes a machine that is installed boot from its disk. All of it may run again.
func (a *Anaconda) FinishInstall(ctx context.Context, t *drivers.Task) error {
	if err := a.CleanUp(ctx, t); err != nil {
		return err
	}
	if err := t.Worker.SetPower(ctx, t, store.PowerOff); err != nil {
		return err
	}
	if err := drivers.SetBootDevice(ctx, t, store.BootDeviceDisk, true); err != nil {
		return err
	}
	if err := drivers.SetSecureBootIfWanted(ctx, t, true); err != nil {
		return err
	}
	network := t.Hardware.Network
	if err := drivers.Rewire(ctx, t, network.RemoveProvisioningNetwork, network.ConfigureTenantNetworks); err != nil {
		return err
	}
	return t.Worker.SetPower(ctx, t, store.PowerOn)
}

// CleanUp takes away what the installer read, and forgets what it was to use.
func (a *Anaconda) CleanUp(ctx context.Context, t *drivers.Task) error {
	if err := a.Deploy.CleanUp(ctx, t); err != nil {
		return err
	}
	info := internalInfo(t.Node)
	delete(info, "stage2")
	delete(info, "ks_template")
	return t.Worker.Save(ctx, t)
}
