package agent

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/store"
)

// Images is what the deploy interface asks about images; image.Patient is one.
type Images interface {
	// ValidateChecksum and ValidateRootOnly check instance_info without asking anybody.
	ValidateChecksum(instance store.Dict, node string) error
	ValidateRootOnly(kind image.Kind, instance store.Dict) error
	// Kind decides what an instance's image contains.
	Kind(ctx context.Context, instance store.Dict, who image.Requester) (image.Decision, error)
	// Show reads an image's metadata, waiting for a source that is away; for HTTP it proves that the image is there.
	Show(ctx context.Context, ref image.Ref) (image.Metadata, error)
}

// Publisher makes images available to nodes at URLs of this worker.
type Publisher interface {
	// Serve fetches an image once, checks it, converts it when asked to, and publishes it for the node.
	Serve(ctx context.Context, t *drivers.Task, wish ServeRequest) (Served, error)
	// Resume publishes again what was published for a node before this worker was restarted, at the same URL. served is
	// false when the node's URL is not one of this worker's, or the image is not here any more.
	Resume(ctx context.Context, t *drivers.Task) (served bool, err error)
	// Withdraw takes back the image of a node and whatever the worker keeps of it for this node alone.
	Withdraw(ctx context.Context, t *drivers.Task) error
}

// ServeRequest says what to serve.
type ServeRequest struct {
	Ref image.Ref
	// Instance is the instance_info that says what the image must be like.
	Instance store.Dict
	// DeclaredFormat is what the owner says the image is, "" when nobody says.
	DeclaredFormat string
	// Raw asks for conversion.
	Raw bool
}

// Served is an image that waits for its node. URL is a secret.
type Served struct {
	URL string
	// Format is that of the bytes served.
	Format image.Format
	// HashAlgo and HashValue are the digest of the bytes served, in hex.
	HashAlgo, HashValue string
	// Size is in bytes.
	Size int64
}

// Deploy is the deploy interface direct.
type Deploy struct {
	cfg    Config
	client client
	images Images
	serve  Publisher
}

// New returns the deploy interface direct.
func New(cfg Config, images Images, publisher Publisher) *Deploy {
	return &Deploy{cfg: cfg, client: client{cfg}, images: images, serve: publisher}
}

var (
	_ drivers.Deploy = (*Deploy)(nil)
	_ drivers.Agent  = (*Deploy)(nil)
)

// Properties describes the driver_info keys of ironic's direct deploy interface.
func (d *Deploy) Properties() map[string]string {
	return map[string]string{
		"deploy_kernel": "UUID (from Glance) of the deployment kernel. Required.",
		"deploy_ramdisk": "UUID (from Glance) of the ramdisk with agent that is used at deploy time. " +
			"Required.",
		"image_http_proxy":  "URL of a proxy server for HTTP connections. Optional.",
		"image_https_proxy": "URL of a proxy server for HTTPS connections. Optional.",
		"image_no_proxy": "A comma-separated list of host names, IP addresses and domain names (with optional :port) " +
			"that will be excluded from proxying. To denote a domain name, use a dot to prefix the domain name. This value " +
			"will be ignored if ``image_http_proxy`` and ``image_https_proxy`` are not specified. Optional.",
		"image_download_source": "Specifies whether direct deploy interface should try to use the image source directly " +
			"or if ironic should cache the image on the conductor and serve it from ironic's own HTTP server. Accepted " +
			"values are \"swift\", \"http\" and \"local\". Optional.",
		"deploy_forces_oob_reboot": "Whether Ironic should force a reboot of the Node via the out-of-band channel after " +
			"deployment is complete. Provides compatibility with older deploy ramdisks. Defaults to False. Optional.",
		"agent_verify_ca": "Either a Boolean value, a path to a CA_BUNDLE file or directory with certificates of trusted " +
			"CAs. If set to True ironic will verify the agent's certificate; if False the driver will ignore verifying the " +
			"SSL certificate. If it's a path the driver will use the specified certificate or one of the certificates in " +
			"the directory. Defaults to True. Optional",
	}
}

// Steps returns the core steps of a deployment (reference/deploy.md §3.2).
func (d *Deploy) Steps(kind drivers.StepKind) []drivers.Step {
	if kind != drivers.DeployStep {
		return nil
	}
	return []drivers.Step{
		{Interface: drivers.TypeDeploy, Name: "deploy", Priority: 100, Run: d.bootAgent, Resume: d.resumeBoot},
		{Interface: drivers.TypeDeploy, Name: "write_image", Priority: 80, Run: d.writeImage, Resume: d.resumeWriteImage,
			ReadsFromWorker: true},
		{Interface: drivers.TypeDeploy, Name: "prepare_instance_boot", Priority: 60, Run: d.prepareInstanceBoot},
		{Interface: drivers.TypeDeploy, Name: "tear_down_agent", Priority: 40, Run: d.tearDownAgent,
			Resume: d.resumeTearDown},
		{Interface: drivers.TypeDeploy, Name: "switch_to_tenant_network", Priority: 30, Run: d.switchToTenantNetwork},
		{Interface: drivers.TypeDeploy, Name: "boot_instance", Priority: 20, Run: d.bootInstance},
	}
}

// Prepare makes everything ready for the agent: the node off and on the provisioning network, the image where the agent
// will find it, the ramdisk to be booted next.
func (d *Deploy) Prepare(ctx context.Context, t *drivers.Task) error {
	return d.PrepareWith(ctx, t, d.buildInstanceInfo)
}

// PrepareWith is Prepare for a deploy interface whose image comes to the node by another way, for which supply cares.
func (d *Deploy) PrepareWith(ctx context.Context, t *drivers.Task, supply func(context.Context, *drivers.Task) error) error {
	if err := drivers.RememberBootVolume(ctx, t); err != nil {
		return err
	}
	switch t.Node.ProvisionState {
	case store.Deploying:
		return d.prepareDeploying(ctx, t, supply)
	case store.Active, store.Unrescuing:
		return t.Hardware.Boot.PrepareInstance(ctx, t)
	case store.Adopting:
		return nil
	case store.Rescuing, store.RescueWait, store.Rescue, store.RescueFail:
		return d.cfg.prepareRamdisk(ctx, t)
	}
	if err := supply(ctx, t); err != nil {
		return err
	}
	return d.cfg.prepareRamdisk(ctx, t)
}

func (d *Deploy) prepareDeploying(ctx context.Context, t *drivers.Task, supply func(context.Context, *drivers.Task) error) error {
	if err := t.Hardware.Network.Validate(ctx, t); err != nil {
		return err
	}
	running, err := d.fastTrack(ctx, t)
	if err != nil {
		return err
	}
	if !running {
		if err := t.Worker.SetPower(ctx, t, store.PowerOff); err != nil {
			return err
		}
	}
	writes, err := t.Hardware.Storage.ShouldWriteImage(ctx, t)
	if err != nil {
		return err
	}
	if !writes {
		return t.Hardware.Storage.AttachVolumes(ctx, t)
	}
	// A rebuilt node is still on its tenant's networks.
	network := t.Hardware.Network
	if err := drivers.Rewire(ctx, t, network.UnconfigureTenantNetworks, network.AddProvisioningNetwork); err != nil {
		return err
	}
	if running {
		if err := supply(ctx, t); err != nil {
			return err
		}
		return t.Hardware.Storage.AttachVolumes(ctx, t)
	}
	if err := t.Hardware.Storage.AttachVolumes(ctx, t); err != nil {
		return err
	}
	if err := supply(ctx, t); err != nil {
		return err
	}
	return d.cfg.prepareRamdisk(ctx, t)
}

// prepareRamdisk makes the node boot the agent, and tells the agent where ironic-api is.
func (c Config) prepareRamdisk(ctx context.Context, t *drivers.Task) error {
	if !c.ManageBoot {
		return nil
	}
	if c.NotesBoot {
		internalInfo(t.Node)["agent_start_attempted"] = true
		if err := t.Worker.Save(ctx, t); err != nil {
			return err
		}
	}
	return t.Hardware.Boot.PrepareRamdisk(ctx, t, map[string]string{"ipa-api-url": c.APIURL})
}

// CleanUp takes away what Prepare made. It may be called again and again.
func (d *Deploy) CleanUp(ctx context.Context, t *drivers.Task) error {
	if d.cfg.ManageBoot {
		if err := t.Hardware.Boot.CleanUpRamdisk(ctx, t); err != nil {
			return err
		}
	}
	if err := t.Hardware.Boot.CleanUpInstance(ctx, t); err != nil {
		return err
	}
	if d.cfg.CleanDHCP != nil {
		if err := d.cfg.CleanDHCP(ctx, t); err != nil {
			return err
		}
	}
	return d.serve.Withdraw(ctx, t)
}

// TearDown switches the node off and takes it from its volumes, which are forgotten, and its networks.
func (d *Deploy) TearDown(ctx context.Context, t *drivers.Task) error {
	if err := t.Worker.SetPower(ctx, t, store.PowerOff); err != nil {
		return err
	}
	if err := t.Hardware.Storage.DetachVolumes(ctx, t); err != nil {
		return err
	}
	if err := drivers.ForgetVolumes(ctx, t); err != nil {
		return err
	}
	// A deployment that failed leaves the node on the provisioning network.
	network := t.Hardware.Network
	return drivers.Rewire(ctx, t, network.UnconfigureTenantNetworks, network.RemoveProvisioningNetwork)
}

// TakeOver serves again, after this worker was restarted, what a node is waiting for or reading: its image, what it boots its agent
// from, and what an instance without a disk boots from at its next start. The agent and its node do not care otherwise which worker
// speaks to them.
func (d *Deploy) TakeOver(ctx context.Context, t *drivers.Task) error {
	switch t.Node.ProvisionState {
	case store.DeployWait, store.Deploying:
		if _, err := d.serve.Resume(ctx, t); err != nil {
			return err
		}
	case store.CleanWait, store.Rescuing, store.RescueWait, store.Servicing, store.ServiceWait:
	case store.Active:
		if boot, ok := t.Hardware.Boot.(instanceServer); ok {
			return boot.ResumeInstance(ctx, t)
		}
		return nil
	default:
		return nil
	}
	if boot, ok := t.Hardware.Boot.(ramdiskServer); ok && d.cfg.ManageBoot {
		return boot.Resume(ctx, t)
	}
	return nil
}

// instanceServer is a boot interface whose instances may boot from this worker.
type instanceServer interface {
	// ResumeInstance serves again what the machine reads at its next start. One whose instance is on its disk reads nothing.
	ResumeInstance(ctx context.Context, t *drivers.Task) error
}

// ramdiskServer is a boot interface whose ramdisk comes from this worker.
type ramdiskServer interface {
	// Resume serves the ramdisk again that a machine may be about to read.
	Resume(ctx context.Context, t *drivers.Task) error
}
