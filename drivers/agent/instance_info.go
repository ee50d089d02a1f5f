package agent

import (
	"context"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/drivers/partition"
	"github.com/ironmaster/ironmaster/store"
)

// buildInstanceInfo finds out where the agent will get its image and what it will be like, and records it in instance_info
// (reference/deploy.md §5).
func (d *Deploy) buildInstanceInfo(ctx context.Context, t *drivers.Task) error {
	if t.Node.InstanceInfo == nil {
		t.Node.InstanceInfo = store.Dict{}
	}
	// A copy: when the image can't be had, the node keeps what the user wrote.
	info := t.Node.InstanceInfo.Clone()
	size, err := d.locateImage(ctx, t, info)
	if err != nil {
		return err
	}
	if err := d.DecideKind(ctx, t, info); err != nil {
		return err
	}
	given := t.Node.InstanceInfo
	t.Node.InstanceInfo = info
	if wholeDisk(t.Node) {
		t.Node.InstanceInfo["image_type"] = string(image.WholeDisk)
	} else {
		t.Node.InstanceInfo["image_type"] = string(image.Partition)
		if err := d.layPartitions(t.Node, size); err != nil {
			t.Node.InstanceInfo = given
			return err
		}
	}
	if err := t.Worker.Save(ctx, t); err != nil {
		return err
	}
	return d.checkMemory(t.Node, size)
}

// DecideKind decides what a Glance image contains when Glance was away as the deployment was asked for. Ironic would take it
// for a partition.
func (d *Deploy) DecideKind(ctx context.Context, t *drivers.Task, info store.Dict) error {
	source := info.String("image_source")
	if t.Node.DriverInternalInfo[keyWholeDisk] != nil || !image.IsGlance(source) {
		return nil
	}
	decision, err := d.images.Kind(ctx, info, image.RequesterOf(t))
	if err != nil {
		return err
	}
	if decision.Kind == "" {
		return store.Errorf(store.InstanceDeployFailure, "It is not known whether image %s is a whole disk or a partition: %s",
			source, decision.Reason)
	}
	decision.Apply(info, t.Node.DriverInternalInfo)
	t.Log.Info().Str("reason", decision.Reason).Str("image_type", info.String("image_type")).Msg("Inferred the kind of the image")
	return d.images.ValidateRootOnly(decision.Kind, info)
}

// locateImage writes image_url and what belongs to it into info. It returns the image's size in bytes, 0 when not known.
func (d *Deploy) locateImage(ctx context.Context, t *drivers.Task, info store.Dict) (int64, error) {
	ref := image.Ref{Href: info.String("image_source"), Requester: image.RequesterOf(t)}
	info["image_url"] = nil
	if image.IsGlance(ref.Href) {
		meta, err := d.images.Show(ctx, ref)
		if err != nil {
			return 0, err
		}
		info["image_checksum"] = nullable(meta.Checksum)
		info["image_os_hash_algo"] = nullable(meta.HashAlgo)
		info["image_os_hash_value"] = nullable(meta.HashValue)
		info["image_container_format"] = nullable(meta.ContainerFormat)
		info["image_tags"] = tags(meta.Tags)
		info["image_properties"] = map[string]any(meta.Properties.Clone())
		info["image_disk_format"] = nullable(meta.DiskFormat)
		return d.serveImage(ctx, t, ref, info)
	}
	if d.servedByWorker(t.Node) {
		return d.serveImage(ctx, t, ref, info)
	}
	meta, err := d.images.Show(ctx, ref)
	if err != nil {
		return 0, err
	}
	if meta.Location != "" {
		// The agent follows no redirect that leads to another scheme; from here on the image is where it was found.
		info["image_source"] = meta.Location
	}
	info["image_url"] = info["image_source"]
	return meta.Size, nil
}

// servedByWorker tells whether the node's image comes from a worker, not from where it is kept.
func (d *Deploy) servedByWorker(n *store.Node) bool {
	source := n.InstanceInfo.String("image_source")
	return image.IsGlance(source) || strings.HasPrefix(source, "file://") || d.downloadSource(n) == "local"
}

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func tags(list []string) []any {
	out := []any{}
	for _, tag := range list {
		out = append(out, tag)
	}
	return out
}

// serveImage has this worker serve the image. When the bytes served are not in the format that was declared, the checksums
// of the original are worth nothing, and those of the new bytes take their place.
func (d *Deploy) serveImage(ctx context.Context, t *drivers.Task, ref image.Ref, info store.Dict) (int64, error) {
	if err := restoreOriginal(ctx, t, info); err != nil {
		return 0, err
	}
	declared := info.String("image_disk_format")
	served, err := d.serve.Serve(ctx, t, ServeRequest{Ref: ref, Instance: info, DeclaredFormat: declared,
		Raw: d.cfg.ForceRawImages && d.cfg.StreamRawImages})
	if err != nil {
		return 0, err
	}
	info["image_disk_format"] = string(served.Format)
	for _, key := range []string{"image_checksum", "image_os_hash_algo", "image_os_hash_value"} {
		if _, ok := info[key]; !ok {
			info[key] = nil
		}
	}
	if declared != string(served.Format) {
		if err := rememberOriginal(ctx, t, info, declared, served.HashValue); err != nil {
			return 0, err
		}
		info["image_checksum"] = nil
		info["image_os_hash_algo"] = served.HashAlgo
		info["image_os_hash_value"] = served.HashValue
	}
	info["image_url"] = served.URL
	return served.Size, nil
}

// checkMemory refuses an image that the agent has to keep in memory and cannot. Raw images are streamed onto the disk.
func (d *Deploy) checkMemory(n *store.Node, size int64) error {
	if size == 0 || d.cfg.StreamRawImages && n.InstanceInfo.String("image_disk_format") == "raw" {
		return nil
	}
	memory, known, err := n.Properties.Int("memory_mb")
	if err != nil {
		return store.Errorf(store.InvalidParameterValue, "properties/%w", err)
	}
	if !known || size+d.cfg.ReservedMemory*image.MiB <= memory*image.MiB {
		return nil
	}
	return store.Errorf(store.InvalidParameterValue, "Memory size is too small for requested image, if it is less than (image "+
		"size + reserved RAM size), will break the IPA deployments. Image size: %d MiB, Memory size: %d MiB, Reserved size: "+
		"%d MiB.", size/image.MiB, memory, d.cfg.ReservedMemory)
}

// layPartitions records the layout that an agent makes around a partition image of so many bytes.
func (d *Deploy) layPartitions(n *store.Node, size int64) error {
	request, err := d.partitionRequest(n)
	if err != nil {
		return err
	}
	if n.InstanceInfo.String("image_disk_format") == string(image.FormatRaw) {
		if err := request.CheckImage(size); err != nil {
			return err
		}
	}
	request.Record(n.InstanceInfo, d.cfg.EphemeralFormat)
	return nil
}

// partitionRequest is the layout that a node's instance asks for. Ironic finds out what is wrong with one when it prepares
// the deployment, or when the agent does; here it is refused before.
func (d *Deploy) partitionRequest(n *store.Node) (partition.Request, error) {
	request, err := partition.ParseRequest(n.InstanceInfo)
	if err != nil {
		return request, err
	}
	mode, err := drivers.BootMode(n, d.cfg.BootMode)
	if err != nil {
		return request, err
	}
	if _, err := request.Plan(n, mode, 0); err != nil {
		return request, err
	}
	return request, request.CheckUnchanged(n.DriverInternalInfo)
}
