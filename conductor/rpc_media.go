package conductor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

type attachMediaArgs struct {
	NodeID     string `json:"node_id"`
	DeviceType string `json:"device_type"`
	ImageURL   string `json:"image_url"`
	// Source is http for a BMC that reads the image from where it is, local for one that reads it from this worker.
	Source string `json:"image_download_source,omitempty"`
}

// attachVirtualMedia puts an image into a virtual drive of a node, in the background. Cut short it is done again, which does no harm.
func (c *Conductor) attachVirtualMedia(ctx context.Context, rq oslo.Context, a attachMediaArgs) (any, error) {
	return nil, c.managingLater(ctx, rq, a.NodeID, "attaching virtual media", mayChangeMedia("attach"),
		func(ctx context.Context, t *task) { t.attachMedia(ctx, a) })
}

// mayChangeMedia refuses a node whose BMC is away.
func mayChangeMedia(verb string) func(*task) error {
	return func(t *task) error {
		if t.c.cfg.Release >= messaging.V2025_2 && t.Node.Maintenance && t.Node.Fault == store.FaultPower {
			return store.Errorf(store.TemporaryFailure, "Unable to %s virtual media for node %s due to power failure state", verb, t.Node.UUID)
		}
		return nil
	}
}

type detachMediaArgs struct {
	NodeID      string    `json:"node_id"`
	DeviceTypes *[]string `json:"device_types,omitempty"`
}

// detachVirtualMedia empties virtual drives of a node, in the background.
func (c *Conductor) detachVirtualMedia(ctx context.Context, rq oslo.Context, a detachMediaArgs) (any, error) {
	return nil, c.managingLater(ctx, rq, a.NodeID, "detaching virtual media", mayChangeMedia("detach"),
		func(ctx context.Context, t *task) { t.detachMedia(ctx, a.DeviceTypes) })
}

// mediaName is what an attached image is called on the image server.
func mediaName(node, device string) string {
	kind := "img"
	if device == drivers.MediaCDROM {
		kind = "iso"
	}
	return fmt.Sprintf("%s-%s.%s", strings.ToLower(device), node, kind)
}

func (t *task) attachMedia(ctx context.Context, a attachMediaArgs) {
	err := t.tryAttach(ctx, a)
	if err == nil {
		t.Log.Info().Str("device", a.DeviceType).Msg("Virtual media attached")
		return
	}
	// Drivers, BMCs and image servers quote the URL as it was given, which may hold a password or a signature.
	cause := strings.ReplaceAll(err.Error(), a.ImageURL, image.Redact(a.ImageURL))
	t.mediaFailed(ctx, err, fmt.Sprintf("Could not attach device %s to node %s: %s", a.DeviceType, t.Node.UUID, cause))
}

func (t *task) tryAttach(ctx context.Context, a attachMediaArgs) error {
	if !slices.Contains(drivers.MediaDevices, a.DeviceType) {
		return store.Errorf(store.InvalidParameterValue, "device_type %q is none of %s", a.DeviceType, strings.Join(drivers.MediaDevices, ", "))
	}
	drives, ok := t.Hardware.Management.(drivers.MediaDrives)
	if !ok {
		// ironic publishes the image first, for drivers that it knows to have such drives.
		return store.Errorf(store.UnsupportedDriverExtension, "Publishing images is not supported for driver %s", t.Node.Driver)
	}
	url, remote := a.ImageURL, strings.HasPrefix(a.ImageURL, "http://") || strings.HasPrefix(a.ImageURL, "https://")
	if a.Source == "" || a.Source == "local" || !remote {
		var err error
		if url, err = t.c.media.Publish(ctx, t.Node.UUID, mediaName(t.Node.UUID, a.DeviceType), a.ImageURL); err != nil {
			return err
		}
	}
	return drives.AttachMedia(ctx, t.Task, a.DeviceType, url)
}

func (t *task) detachMedia(ctx context.Context, devices *[]string) {
	if err := t.tryDetach(ctx, devices); err != nil {
		shown := "None"
		if devices != nil {
			shown = store.PythonRepr(anyTexts(*devices))
		}
		t.mediaFailed(ctx, err, fmt.Sprintf("Could not detach device(s) %s from node %s: %s", shown, t.Node.UUID, err))
		return
	}
	t.Log.Info().Msg("Virtual media detached")
}

// tryDetach takes back the images once no drive shows them any more.
func (t *task) tryDetach(ctx context.Context, devices *[]string) error {
	drives, ok := t.Hardware.Management.(drivers.MediaDrives)
	if !ok {
		return drivers.Unsupported(t.Task, "detach_virtual_media")
	}
	withdrawn, emptied := drivers.MediaDevices, []string{""}
	if devices != nil {
		withdrawn, emptied = *devices, *devices
	}
	for _, device := range emptied {
		if err := drives.DetachMedia(ctx, t.Task, device); err != nil {
			return err
		}
	}
	var names []string
	for _, device := range withdrawn {
		names = append(names, mediaName(t.Node.UUID, device))
	}
	return t.c.media.Withdraw(t.Node.UUID, names...)
}

// mediaFailed tells users of a failure in last_error.
func (t *task) mediaFailed(ctx context.Context, err error, text string) {
	if lost(err) || t.cutShort(ctx, text) {
		return
	}
	t.Log.Error().Str("error", withoutSecrets(t.Node, text)).Msg("Changing virtual media failed")
	t.record(ctx, historyUnknown, text)
	_ = t.saveOrLose(ctx)
}

// getVirtualMedia lists a node's virtual drives.
func (c *Conductor) getVirtualMedia(ctx context.Context, rq oslo.Context, a nodeArgs) (any, error) {
	answer := []any{}
	list := func(ctx context.Context, t *task) error {
		drives, ok := t.Hardware.Management.(drivers.MediaDrives)
		if !ok {
			return drivers.Unsupported(t.Task, "get_virtual_media")
		}
		all, err := drives.VirtualMedia(ctx, t.Task)
		for _, d := range all {
			answer = append(answer, map[string]any{"media_types": d.Types, "inserted": d.Inserted, "image": d.Image})
		}
		return err
	}
	const purpose = "get virtual media devices"
	if c.cfg.Release < messaging.V2026_1 {
		err := c.managing(ctx, rq, a.NodeID, purpose, list)
		return answer, err
	}
	err := c.readNode(ctx, rq, a.NodeID, purpose, func(ctx context.Context, t *task) error {
		if err := t.Hardware.Management.Validate(ctx, t.Task); err != nil {
			return err
		}
		return list(ctx, t)
	})
	return answer, err
}
