package agent

import (
	"context"
	"encoding/base64"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/store"
)

// Bootc is the deploy interface bootc: the agent runs a container image that installs itself onto the disk. The conductor sees
// nothing of the image.
type Bootc struct{ *CustomAgent }

// NewBootc returns the deploy interface bootc. What it shares with direct is direct's.
func NewBootc(direct *Deploy) *Bootc { return &Bootc{NewCustomAgent(direct)} }

var (
	_ drivers.Deploy = (*Bootc)(nil)
	_ drivers.Agent  = (*Bootc)(nil)
)

const ociScheme = "oci://"

// Validate takes images in registries alone.
func (b *Bootc) Validate(ctx context.Context, t *drivers.Task) error {
	if err := b.CustomAgent.Validate(ctx, t); err != nil {
		return err
	}
	source := t.Node.InstanceInfo.String("image_source")
	if strings.HasPrefix(source, ociScheme) {
		return nil
	}
	if source == "" {
		source = "None"
	}
	return store.Errorf(store.InvalidImageRef, "Invalid image href %s.", image.Redact(source))
}

const installStep = "execute_bootc_install"

// Steps are those of custom-agent with the installation in front of them.
func (b *Bootc) Steps(kind drivers.StepKind) []drivers.Step {
	var steps []drivers.Step
	for _, s := range b.CustomAgent.Steps(kind) {
		if s.Name == "prepare_instance_boot" {
			steps = append(steps,
				drivers.Step{Interface: drivers.TypeDeploy, Name: installStep, Priority: 80, Run: b.install, Resume: b.resumeInstall},
				drivers.Step{Interface: drivers.TypeDeploy, Name: "set_boot_to_disk", Priority: 60, Run: b.bootDisk})
			continue
		}
		steps = append(steps, s)
	}
	return steps
}

// install is the step deploy.execute_bootc_install: the agent's own step of that name, told what to install.
func (b *Bootc) install(ctx context.Context, t *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
	drive, err := image.ConfigDrive(image.ConfigDriveNodeOf(t.Node), t.Node.InstanceInfo[keyConfigDrive])
	if err != nil {
		return drivers.Done, err
	}
	return b.ExecuteStep(ctx, t, drivers.DeployStep, store.Dict{"interface": "deploy", "step": installStep,
		"args": store.Dict{"image_source": t.Node.InstanceInfo["image_source"], "configdrive": nullable(drive),
			"oci_pull_secret": nullable(pullSecret(t.Node))}})
}

// pullSecret is what the registry wants to see, in the base64 that agents expect; "" when nobody named one.
func pullSecret(n *store.Node) string {
	for _, place := range []store.Dict{n.InstanceInfo, n.DriverInfo} {
		if secret := place.String("image_pull_secret"); secret != "" {
			return base64.StdEncoding.EncodeToString([]byte(secret))
		}
	}
	return ""
}

// resumeInstall sends the step unless the agent has it already.
func (b *Bootc) resumeInstall(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	return b.resumed(ctx, t, drivers.DeployStep, func() (drivers.Outcome, error) { return b.install(ctx, t, args) })
}

// bootDisk is the step deploy.set_boot_to_disk. What was installed has told the firmware of itself.
func (b *Bootc) bootDisk(ctx context.Context, t *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
	mode, err := drivers.BootMode(t.Node, b.cfg.BootMode)
	if err != nil {
		return drivers.Done, err
	}
	return drivers.Done, setDiskDevice(ctx, t, mode)
}

// SupportsDeploy is asked by autodetect. Whether an image in a registry is one for bootc only the registry knows, which this
// build does not ask.
func (b *Bootc) SupportsDeploy(_ context.Context, t *drivers.Task) bool {
	if strings.HasPrefix(t.Node.InstanceInfo.String("image_source"), ociScheme) {
		t.Log.Error().Msg("Whether the image is one for bootc cannot be found out: set the node's deploy_interface to bootc")
	}
	return false
}
