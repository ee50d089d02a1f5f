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

// Agents that read the image from its own server are told the credentials for it, those that read it from a worker are not.
func TestCredentialsOfImageServers(t *testing.T) {
	cfg := quick()
	cfg.ImageCredentials = image.Credentials{User: "u", Password: "image-secret", Hosts: []string{"images.example.org"}}
	n := deployNode()
	g := newRig(t, cfg, n)
	for _, c := range []struct {
		name, source, url, download string
		want                        string
	}{
		{"a listed server", "http://images.example.org/a", "http://images.example.org/a", "http", "image-secret"},
		{"another server", "http://elsewhere.example.net/a", "http://elsewhere.example.net/a", "http", ""},
		{"a listed server by way of the worker", "http://images.example.org/a", "http://images.example.org:8182/x", "local", ""},
	} {
		n.InstanceInfo["image_source"], n.InstanceInfo["image_url"], n.InstanceInfo["image_download_source"] = c.source, c.url, c.download
		info, err := g.deploy.imageInfo(n)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.String("image_server_password"); got != c.want {
			t.Errorf("%s: %q", c.name, got)
		}
	}
	if text := g.deploy.withoutSecrets(t.Context(), g.task, "asked with image-secret"); strings.Contains(text, "image-secret") {
		t.Error(text)
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
