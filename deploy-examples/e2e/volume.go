package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/google/uuid"
	"github.com/gophercloud/gophercloud/v2"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room/tgt"
)

// With BOOT=volume a machine has nothing on its disk: iPXE attaches a copy of the image over iSCSI and boots it, and the system finds
// its root file system there by what iPXE left in the machine's memory (iBFT).

// What the machines' initiators and the volumes are called; the firmware follows.
const (
	initiatorPrefix = "iqn.2026-11.example.ironmaster:machine-"
	volumePrefix    = "iqn.2026-11.example.ironmaster:volume-"
)

const iscsiPort = "3260"

// openVolumes starts the server of the volumes. It ends with this program.
func (t *trial) openVolumes(ctx context.Context) (err error) {
	if !t.volume {
		return nil
	}
	t.volumes, err = tgt.Start(ctx, filepath.Join(t.dir, "volumes"), address+":"+iscsiPort)
	return err
}

// giveVolume makes a volume out of the image, and tells ironic that the machine boots from it.
func (t *trial) giveVolume(ctx context.Context, m *machine, i *image) error {
	m.Disk = filepath.Join(t.dir, "volumes", m.firmware)
	if err := copyFile(m.Disk, i.raw); err != nil {
		return fmt.Errorf("making a volume: %w", err)
	}
	if err := t.volumes.Export(ctx, volumePrefix+m.firmware, m.Disk); err != nil {
		return err
	}
	return t.cloud.useVolume(ctx, m)
}

func copyFile(to, from string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(target, source); err != nil {
		_ = target.Close()
		return err
	}
	return target.Close()
}

// useVolume records the machine's initiator and its volume.
func (c *cloud) useVolume(ctx context.Context, m *machine) error {
	for part, body := range map[string]map[string]any{
		"connectors": {"node_uuid": m.node, "type": "iqn", "connector_id": initiatorPrefix + m.firmware},
		"targets": {"node_uuid": m.node, "volume_type": "iscsi", "volume_id": uuid.NewString(), "boot_index": 0,
			"properties": map[string]any{"target_portal": address + ":" + iscsiPort, "target_iqn": volumePrefix + m.firmware, "target_lun": 1}},
	} {
		_, err := c.ironic.Post(ctx, c.ironic.ServiceURL("volume", part), body, nil,
			&gophercloud.RequestOpts{OkCodes: []int{http.StatusCreated}})
		if err != nil {
			return fmt.Errorf("creating one of the volume's %s: %w", part, err)
		}
	}
	return nil
}
