package agent

import (
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/store"
)

func TestPrepareLaysOutAPartitionImage(t *testing.T) {
	n := deployNode()
	n.DriverInternalInfo["is_whole_disk_image"] = false
	n.InstanceInfo["root_gb"], n.InstanceInfo["swap_mb"], n.InstanceInfo["ephemeral_gb"] = "10", "512", 2
	g := newRig(t, quick(), n)
	if err := g.deploy.Prepare(t.Context(), g.task); err != nil {
		t.Fatal(err)
	}
	info, err := g.deploy.imageInfo(n)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"root_mb": "10240", "swap_mb": "512", "ephemeral_mb": "2048", "ephemeral_format": "ext4",
		"image_type": "partition", "deploy_boot_mode": "uefi", "disk_label": "gpt", "preserve_ephemeral": "False"} {
		if info.String(key) != want {
			t.Errorf("%s: %v, want %s", key, info[key], want)
		}
	}
	delete(n.InstanceInfo, "root_gb")
	if err := g.deploy.Prepare(t.Context(), g.task); store.KindOf(err) != store.MissingParameterValue {
		t.Errorf("without root_gb: %v", err)
	}
}

func TestARawImageMustFitTheRootPartition(t *testing.T) {
	n := deployNode()
	asPartition(n)
	n.InstanceInfo["root_gb"], n.InstanceInfo["image_download_source"] = 1, "local"
	g := newRig(t, quick(), n)
	g.publisher.served = Served{URL: "http://worker/x", Format: image.FormatRaw, HashAlgo: "sha256", HashValue: "cd", Size: 2 << 30}
	err := g.deploy.Prepare(t.Context(), g.task)
	if store.KindOf(err) != store.InstanceDeployFailure || !strings.Contains(err.Error(), "Image virtual size: 2048 MB, Root size: 1024 MB") {
		t.Error(err)
	}
}
