package pxe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/drivers/kickstart"
	"github.com/ironmaster/ironmaster/store"
)

// KickstartConfig holds the options of installations by Anaconda.
type KickstartConfig struct {
	// Template is the path of [anaconda]default_ks_template, BuiltIn tells that it is ironic's own, in whose place the one that is
	// built in stands.
	Template string
	BuiltIn  bool
	// Insecure is [anaconda]insecure_heartbeat.
	Insecure bool
	// APIURL is ironic-api's address for installers, Downloads is where config drives come from.
	APIURL    string
	Downloads image.Downloader
}

// The names of an installer's files, as ironic has them: stage2Name lies where Anaconda looks below the URL that it is given.
const (
	stage2Name   = "LiveOS/squashfs.img"
	templateName = "ks.cfg.template"
	ksName       = "ks.cfg"
)

// The keys of driver_internal_info that hold what an installation uses, from its beginning to its end.
const (
	keyStage2   = "stage2"
	keyTemplate = "ks_template"
)

// serveInstaller fetches what an installer boots and reads, and writes the configuration that boots it. It may run again at any
// time.
func (b *Boot) serveInstaller(ctx context.Context, t *drivers.Task) error {
	images, err := b.sources.BootImages(ctx, b.wish(t))
	if err != nil {
		return err
	}
	if images.ISO != "" {
		return store.Errorf(store.InstanceDeployFailure, "An installer cannot be booted from the ISO in instance_info.boot_iso of node %s",
			t.Node.UUID)
	}
	if err := b.rememberInstaller(ctx, t, images); err != nil {
		return err
	}
	who := image.RequesterOf(t)
	for name, href := range map[string]string{kernelName: images.Kernel, ramdiskName: images.Ramdisk} {
		if err := b.fetch(ctx, t, image.Ref{Href: href, Requester: who}, b.tree, name); err != nil {
			return err
		}
	}
	values := map[string]any{"aki_path": b.location(t.Node, kernelName), "ari_path": b.location(t.Node, ramdiskName),
		"ks_cfg_url": b.web.url(b.cfg.HTTPURL, t.Node, ksName), "ks_template_path": b.web.url(b.cfg.HTTPURL, t.Node, templateName)}
	if stage2 := t.Node.DriverInternalInfo.String(keyStage2); stage2 != "" {
		if err := b.fetch(ctx, t, image.Ref{Href: stage2, Requester: who}, b.web, stage2Name); err != nil {
			return err
		}
		values["stage2_url"] = b.cfg.HTTPURL + "/" + t.Node.UUID
	} else {
		values["repo_url"] = oneLine(t.Node.InstanceInfo.String("image_source"))
	}
	if err := b.writeKickstart(ctx, t); err != nil {
		return err
	}
	return b.writeConfiguration(ctx, t, configuration{instance: values, section: anacondaSection})
}

// rememberInstaller notes in the row what is used, so that it stays the same when the image's properties change meanwhile.
func (b *Boot) rememberInstaller(ctx context.Context, t *drivers.Task, images image.BootImages) error {
	instance, internal := t.Node.InstanceInfo, t.Node.DriverInternalInfo
	instance["kernel"], instance["ramdisk"] = images.Kernel, images.Ramdisk
	properties, err := b.sources.Properties(ctx, b.wish(t))
	if err != nil {
		return err
	}
	tree := internal.Bool("is_source_a_path", false)
	if internal.String(keyStage2) == "" && !tree {
		stage2 := instance.String("stage2")
		if stage2 == "" {
			stage2 = properties.String("stage2_id")
		}
		if stage2 == "" {
			return store.Errorf(store.ImageUnacceptable, "'stage2_id' is missing from the properties of the OS image %s. The anaconda "+
				"deploy interface requires this to be set with the OS image or in instance_info['stage2']. ",
				image.Redact(instance.String("image_source")))
		}
		internal[keyStage2] = stage2
	}
	switch template := properties.String(keyTemplate); {
	case instance.String(keyTemplate) != "":
		internal[keyTemplate] = instance.String(keyTemplate)
	case template != "":
		internal[keyTemplate] = template
	default:
		internal[keyTemplate] = b.defaultTemplate()
	}
	return t.Worker.Save(ctx, t)
}

func (b *Boot) defaultTemplate() string { return "file://" + b.cfg.Kickstart.Template }

// template returns the template that the row names, and puts it where ironic does.
func (b *Boot) template(ctx context.Context, t *drivers.Task) (kickstart.Template, error) {
	href := t.Node.DriverInternalInfo.String(keyTemplate)
	found := kickstart.Template{Text: kickstart.Default}
	var err error
	switch {
	case href == b.defaultTemplate() && b.cfg.Kickstart.BuiltIn:
	case href == b.defaultTemplate():
		// The operator's own, which need not lie where users may read from.
		found.Trusted = true
		found.Text, err = os.ReadFile(b.cfg.Kickstart.Template)
	default:
		ref := image.Ref{Href: href, Requester: image.RequesterOf(t)}
		if err := b.fetch(ctx, t, ref, b.web, templateName); err != nil {
			return found, err
		}
		found.Text, err = readTemplate(filepath.Join(b.web.nodeDir(t.Node), templateName))
		return found, err
	}
	if err != nil {
		return found, fmt.Errorf("reading [anaconda]default_ks_template: %w", err)
	}
	return found, b.web.put(t.Node, templateName, string(found.Text))
}

func readTemplate(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > kickstart.MaxTemplate {
		err = store.Errorf(store.InvalidKickstartTemplate, "The kickstart template has %d bytes, %d are the most", info.Size(),
			kickstart.MaxTemplate)
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// writeKickstart writes the file by which the machine is installed. It holds the installer's token, as ironic's does.
func (b *Boot) writeKickstart(ctx context.Context, t *drivers.Task) error {
	template, err := b.template(ctx, t)
	if err != nil {
		return err
	}
	if err := template.Check(); err != nil {
		return err
	}
	drive, err := image.ConfigDriveContent(ctx, b.cfg.Kickstart.Downloads, t.Node)
	if err != nil {
		return err
	}
	script, err := kickstart.Script(drive)
	if err != nil {
		return err
	}
	token, err := drivers.PregenerateAgentToken(ctx, t)
	if err != nil {
		return err
	}
	text, err := template.Render(kickstart.Options{
		LiveImageURL: t.Node.InstanceInfo.String("image_url"), Tree: t.Node.DriverInternalInfo.Bool("is_source_a_path", false),
		AgentToken: token, HeartbeatURL: strings.TrimRight(b.cfg.Kickstart.APIURL, "/") + "/v1/heartbeat/" + t.Node.UUID,
		Insecure: b.cfg.Kickstart.Insecure, ConfigDrive: script})
	if err != nil {
		return err
	}
	if err := validateKickstart(ctx, t, text); err != nil {
		return err
	}
	return b.web.put(t.Node, ksName, string(text))
}

// ksvalidator is pykickstart's program. Where it is not installed nothing is asked, as in ironic.
const ksvalidator = "ksvalidator"

// validationPatience bounds ksvalidator, which has a text of a user's to read.
const validationPatience = time.Minute

func validateKickstart(ctx context.Context, t *drivers.Task, text []byte) error {
	program, err := exec.LookPath(ksvalidator)
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		t.Log.Debug().Msg("ksvalidator is not installed: the kickstart file is not validated")
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for %s: %w", ksvalidator, err)
	}
	file, err := os.CreateTemp("", "ironmaster-*.cfg")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.Write(text)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("writing a kickstart file to be validated: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, validationPatience)
	defer cancel()
	said, err := exec.CommandContext(limited, program, file.Name()).CombinedOutput()
	if err != nil && ctx.Err() == nil {
		reason := strings.ReplaceAll(strings.TrimSpace(string(said)), t.Node.DriverInternalInfo.String(drivers.KeyAgentToken), "******")
		if limited.Err() != nil {
			reason = fmt.Sprintf("it did not end within %s", validationPatience)
		}
		return store.Errorf(store.InvalidKickstartFile, "The kickstart file generated does not pass validation. The ksvalidator tool "+
			"returned the following error: %s", reason)
	}
	return ctx.Err()
}
