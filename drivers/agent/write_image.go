package agent

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/store"
)

// journalWriteImage is the key under which this worker remembers that it is about to overwrite the node's disk.
const journalWriteImage = "agent.write_image"

// writeIntent is written before write_image is sent. A new deployment and a new agent begin without one.
type writeIntent struct {
	SentAt time.Time `json:"sent_at"`
}

func forgetWriting(ctx context.Context, t *drivers.Task) error {
	return t.Worker.Journal(t).Put(ctx, journalWriteImage, writeIntent{})
}

func writeImageStep(args store.Dict) store.Dict {
	return store.Dict{"interface": "deploy", "step": "write_image", "args": args}
}

// writeImage is the step deploy.write_image: the agent fetches the image and writes it onto the disk. It destroys what was
// there, so it is never sent a second time without asking the agent what became of the first.
//
// Crash windows: after the intent and before the command, the agent's list does not hold the command, and it is sent;
// after the command and before the wait state is saved, the list holds it, and it is waited for.
func (d *Deploy) writeImage(ctx context.Context, t *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
	if !t.Hardware.Storage.ShouldWriteImage(t) {
		return drivers.Done, nil
	}
	var before writeIntent
	if _, err := t.Worker.Journal(t).Get(ctx, journalWriteImage, &before); err != nil {
		return drivers.Done, err
	}
	if !before.SentAt.IsZero() {
		return d.resumeWriteImage(ctx, t)
	}
	return d.sendWriteImage(ctx, t)
}

// resumeWriteImage reads the agent's command list and sends the command only when the agent has never seen it.
func (d *Deploy) resumeWriteImage(ctx context.Context, t *drivers.Task) (drivers.Outcome, error) {
	commands, err := d.client.listRetrying(ctx, t.Node)
	if err != nil {
		return drivers.Done, err
	}
	if len(commands) > 0 {
		newest := commands[len(commands)-1]
		if newest.Name == "execute_deploy_step" && (newest.Status == statusRunning || endedStep(newest, writeImageStep(nil))) {
			t.Log.Info().Str("status", newest.Status).Msg("the agent has the image to write already")
			return drivers.Waiting, nil
		}
	}
	return d.sendWriteImage(ctx, t)
}

func (d *Deploy) sendWriteImage(ctx context.Context, t *drivers.Task) (drivers.Outcome, error) {
	drive, err := image.ConfigDrive(image.ConfigDriveNode{UUID: t.Node.UUID, Name: nodeName(t.Node)},
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
	// gofail: var writeBeforeIntent struct{}
	if err := t.Worker.Journal(t).Put(ctx, journalWriteImage, writeIntent{SentAt: time.Now()}); err != nil {
		return drivers.Done, err
	}
	// gofail: var writeIntended struct{}
	outcome, err := d.ExecuteStep(ctx, t, drivers.DeployStep, step)
	// gofail: var writeSent struct{}
	if store.KindOf(err) == store.AgentInProgress {
		// The agent refused the command for sure. Whatever it is doing instead is not this step, and must not be taken for it.
		return outcome, errors.Join(err, forgetWriting(ctx, t))
	}
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
	info["deploy_boot_mode"], info["boot_option"] = mode, "local"
	capabilities, err := drivers.InstanceCapabilities(n)
	if err != nil {
		return err
	}
	if label := capabilities.String("disk_label"); label != "" {
		info["disk_label"] = label
	} else if mode == store.BootModeUEFI {
		info["disk_label"] = "gpt"
	}
	return nil
}
