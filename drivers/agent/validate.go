package agent

import (
	"cmp"
	"context"
	"slices"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/store"
)

const keyWholeDisk = "is_whole_disk_image"

// Validate checks everything that can be checked before the node is touched.
func (d *Deploy) Validate(ctx context.Context, t *drivers.Task) error {
	if err := d.validateMachine(ctx, t); err != nil {
		return err
	}
	if writes, err := t.Hardware.Storage.ShouldWriteImage(ctx, t); err != nil || !writes {
		return err
	}
	if err := d.validateImage(t.Node); err != nil {
		return err
	}
	warnOfBootOption(t)
	return nil
}

// validateMachine checks what has nothing to do with an image.
func (d *Deploy) validateMachine(ctx context.Context, t *drivers.Task) error {
	if d.cfg.ManageBoot {
		if err := t.Hardware.Boot.Validate(ctx, t); err != nil {
			return err
		}
	}
	if err := drivers.ValidateCapabilities(t.Node); err != nil {
		return err
	}
	return validateRootDevice(t.Node)
}

func (d *Deploy) validateImage(n *store.Node) error {
	source := n.InstanceInfo.String("image_source")
	if source == "" {
		return store.Errorf(store.MissingParameterValue, "Node %s failed to validate deploy image info. Some parameters were "+
			"missing. Missing are: ['instance_info.image_source']", n.UUID)
	}
	if err := image.ValidateType(n.InstanceInfo); err != nil {
		return err
	}
	if err := d.images.ValidateChecksum(n.InstanceInfo, n.UUID); err != nil {
		return err
	}
	if err := d.validateDownload(n, source); err != nil {
		return err
	}
	if err := validateProxies(n); err != nil {
		return err
	}
	return d.validateKind(n)
}

// validateKind checks what an image of its kind needs. An image whose kind is not known yet is looked at again when the
// deployment is prepared.
func (d *Deploy) validateKind(n *store.Node) error {
	if wholeDisk(n) {
		return d.images.ValidateRootOnly(image.WholeDisk, n.InstanceInfo)
	}
	if n.DriverInternalInfo[keyWholeDisk] == nil {
		return nil
	}
	_, err := d.partitionRequest(n)
	return err
}

// warnOfBootOption tells that an instance asks for network boot, which ironic gave up in Zed: instances boot from their disk.
func warnOfBootOption(t *drivers.Task) {
	capabilities, err := drivers.InstanceCapabilities(t.Node)
	if err != nil || capabilities["boot_option"] == nil {
		return
	}
	t.Log.Warn().Str("boot_option", capabilities.String("boot_option")).
		Msg("The boot_option capability has been deprecated and is ignored, please unset it")
}

func wholeDisk(n *store.Node) bool { return n.DriverInternalInfo.Bool(keyWholeDisk, false) }

// downloadSource says how an agent gets its image: http (from where it is) or local (from this worker).
func (d *Deploy) downloadSource(n *store.Node) string {
	return cmp.Or(n.InstanceInfo.String("image_download_source"), n.DriverInfo.String("image_download_source"),
		d.cfg.DownloadSource)
}

func (d *Deploy) validateDownload(n *store.Node, href string) error {
	if err := image.ValidateSource(href); err != nil {
		return err
	}
	from := d.downloadSource(n)
	if !slices.Contains([]string{"swift", "http", "local"}, from) {
		return store.Errorf(store.InvalidParameterValue,
			`Invalid value for image_download_source: "%s". Valid values are swift, http or local.`, from)
	}
	if from == "swift" && image.IsGlance(href) {
		return store.Errorf(store.InvalidParameterValue, `image_download_source "swift" of node %s: temporary URLs of Swift are `+
			"not supported for Glance images, use http or local", n.UUID)
	}
	return nil
}
