package agent

import (
	"context"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/store"
)

// keyRamdiskDeploy marks an instance, or the Glance image of one, that is a ramdisk.
const keyRamdiskDeploy = "ironic_ramdisk_deploy"

// supportPatience bounds how long Glance is asked while a user waits.
const supportPatience = 10 * time.Second

// SupportsDeploy is asked by autodetect.
func (r *Ramdisk) SupportsDeploy(ctx context.Context, t *drivers.Task) bool {
	info := t.Node.InstanceInfo
	if marked(info[keyRamdiskDeploy]) && (info.String("boot_iso") != "" || info.String("kernel") != "" && info.String("ramdisk") != "") {
		return true
	}
	source := info.String("image_source")
	if !image.IsGlance(source) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, supportPatience)
	defer cancel()
	meta, err := r.images.Show(ctx, image.Ref{Href: source, Requester: image.RequesterOf(t)})
	if err != nil {
		t.Log.Warn().Err(err).Msg("Whether the Glance image is a ramdisk cannot be found out")
		return false
	}
	p := meta.Properties
	return marked(p[keyRamdiskDeploy]) && (p.String("boot_iso_id") != "" || p.String("kernel_id") != "" && p.String("ramdisk_id") != "")
}

// marked is true as Python has it: whatever is not empty.
func marked(value any) bool {
	switch v := value.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	}
	return true
}

// takeFromImage puts what a Glance image names into instance_info, in the image's place: with an image there, the instance would be
// one that is written to a disk.
func (r *Ramdisk) takeFromImage(ctx context.Context, t *drivers.Task) error {
	info := t.Node.InstanceInfo
	source := info.String("image_source")
	if !image.IsGlance(source) || info.String("boot_iso") != "" || info.String("kernel") != "" {
		return nil
	}
	meta, err := r.images.Show(ctx, image.Ref{Href: source, Requester: image.RequesterOf(t)})
	if err != nil {
		return err
	}
	named := store.Dict{}
	switch p := meta.Properties; {
	case p.String("boot_iso_id") != "":
		named["boot_iso"] = p.String("boot_iso_id")
	case p.String("kernel_id") != "" && p.String("ramdisk_id") != "":
		named["kernel"], named["ramdisk"] = p.String("kernel_id"), p.String("ramdisk_id")
	default:
		return nil
	}
	for key, value := range named {
		info[key] = value
	}
	info["original_image_source"] = source
	delete(info, "image_source")
	delete(info, "image_type")
	delete(internalInfo(t.Node), keyWholeDisk)
	return t.Worker.Save(ctx, t)
}
