package agent

import (
	"context"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/drivers/partition"
	"github.com/ironmaster/ironmaster/store"
)

func writeImageStep(args store.Dict) store.Dict {
	return store.Dict{"interface": "deploy", "step": "write_image", "args": args}
}

// writeImage is the step deploy.write_image: the agent fetches the image and writes it onto the disk. It destroys what was
// there, so it is never sent a second time without asking the agent what became of the first: that is resumeWriteImage.
//
// Crash windows: before the command, the agent's list does not hold it, and it is sent; after the command and before the
// wait state is saved, the list holds it, and it is waited for.
func (d *Deploy) writeImage(ctx context.Context, t *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
	if writes, err := t.Hardware.Storage.ShouldWriteImage(ctx, t); err != nil || !writes {
		return drivers.Done, err
	}
	if err := d.ensureServed(ctx, t); err != nil {
		return drivers.Done, err
	}
	return d.sendWriteImage(ctx, t)
}

// resumeWriteImage goes on with writeImage. Whatever the agent does with the image, it reads it from this worker.
func (d *Deploy) resumeWriteImage(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	if writes, err := t.Hardware.Storage.ShouldWriteImage(ctx, t); err != nil || !writes {
		return drivers.Done, err
	}
	if _, err := d.serve.Resume(ctx, t); err != nil {
		return drivers.Done, err
	}
	return d.resumed(ctx, t, drivers.DeployStep, func() (drivers.Outcome, error) { return d.writeImage(ctx, t, args) })
}

// ensureServed has this worker serve the image when the URL in the row is that of a worker which is gone.
func (d *Deploy) ensureServed(ctx context.Context, t *drivers.Task) error {
	if !d.servedByWorker(t.Node) {
		return nil
	}
	if served, err := d.serve.Resume(ctx, t); err != nil || served {
		return err
	}
	return d.buildInstanceInfo(ctx, t)
}

func (d *Deploy) sendWriteImage(ctx context.Context, t *drivers.Task) (drivers.Outcome, error) {
	drive, err := image.ConfigDrive(image.ConfigDriveNodeOf(t.Node),
		t.Node.InstanceInfo[keyConfigDrive])
	if err != nil {
		return drivers.Done, err
	}
	info, err := d.imageInfo(t.Node)
	if err != nil {
		return drivers.Done, err
	}
	if drive != "" {
		info[keyConfigDrive] = drive
	}
	step := writeImageStep(store.Dict{"image_info": info, keyConfigDrive: nullable(drive)})
	// gofail: var writeIntended struct{}
	outcome, err := d.ExecuteStep(ctx, t, drivers.DeployStep, step)
	// gofail: var writeSent struct{}
	if err == nil {
		t.Worker.Report(t, drivers.Progress{Doing: "writing the image", Waiting: true})
	}
	return outcome, err
}

func nodeName(n *store.Node) string {
	if n.Name == nil {
		return ""
	}
	return *n.Name
}

// imageInfo describes the image to the agent (reference/deploy.md §4.1).
func (d *Deploy) imageInfo(n *store.Node) (store.Dict, error) {
	instance := n.InstanceInfo
	source := instance.String("image_source")
	info := store.Dict{
		"id":                source[strings.LastIndexByte(source, '/')+1:],
		"urls":              []any{instance["image_url"]},
		"disk_format":       instance["image_disk_format"],
		"container_format":  instance["image_container_format"],
		"stream_raw_images": d.cfg.StreamRawImages,
		"node_uuid":         n.UUID,
	}
	if c := d.cfg.ImageCredentials; !d.servedByWorker(n) && c.For(instance.String("image_url")) {
		info["image_server_auth_strategy"], info["image_server_user"], info["image_server_password"] = "http_basic", c.User, c.Password
	}
	if sum := instance.String("image_checksum"); sum != "" {
		info["checksum"] = sum
	}
	if algo, value := instance.String("image_os_hash_algo"), instance.String("image_os_hash_value"); algo != "" && value != "" {
		info["os_hash_algo"], info["os_hash_value"] = algo, value
	}
	addProxies(info, n.DriverInfo)
	if wholeDisk(n) {
		return info, nil
	}
	return info, d.addPartitions(n, info)
}

// addPartitions tells the agent how to partition the disk around a partition image.
func (d *Deploy) addPartitions(n *store.Node, info store.Dict) error {
	for _, key := range []string{"kernel", "ramdisk", "root_gb", "root_mb", "swap_mb", "ephemeral_mb", "ephemeral_format",
		keyConfigDrive, "preserve_ephemeral", "image_type"} {
		info[key] = n.InstanceInfo[key]
	}
	mode, err := drivers.BootMode(n, d.cfg.BootMode)
	if err != nil {
		return err
	}
	// Nothing else is left: ironic gave up network boot of partition images in Zed.
	info["deploy_boot_mode"], info["boot_option"] = mode, "local"
	label, err := partition.LabelOf(n, mode)
	if err != nil {
		return err
	}
	if label != "" {
		info["disk_label"] = string(label)
	}
	return nil
}
