package wholeworker

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

// kindsOptions enable the deploy interfaces that write no image by themselves.
func kindsOptions(network *bootNetwork, w *world) options {
	return lab.Merge(network.options(filepath.Join(w.lab.Dir, "boot"), "127.0.0.1"), options{"DEFAULT": {
		"enabled_deploy_interfaces": "direct,ramdisk,custom-agent,anaconda",
		"enabled_boot_interfaces":   "fake,redfish-virtual-media,pxe,ipxe"}})
}

// TestDeployKinds takes machines through deployments of all deploy interfaces beside those of TestCombinations: up, on after a
// restart of the worker, rebuilt, and torn down with a cleaning by the agent.
func TestDeployKinds(t *testing.T) {
	var network *bootNetwork
	w := start(t, setup{database: "mariadb", own: func(w *world) options {
		network = w.bootNetwork(t)
		return kindsOptions(network, w)
	}})
	lives := []kindOfLife{
		{name: "ramdisk/redfish-virtual-media", boot: "redfish-virtual-media", deploy: "ramdisk", mode: "uefi"},
		{name: "ramdisk/pxe", boot: "pxe", deploy: "ramdisk", mode: "bios"},
		{name: "ramdisk/ipxe", boot: "ipxe", deploy: "ramdisk", mode: "uefi"},
		{name: "anaconda/pxe", boot: "pxe", deploy: "anaconda", mode: "uefi"},
		{name: "anaconda/ipxe", boot: "ipxe", deploy: "anaconda", mode: "bios"},
		{name: "custom-agent", boot: "redfish-virtual-media", deploy: "custom-agent", mode: "uefi"},
	}
	machines := w.openRoom(t, network.plug(room.Config{Seed: 1, Count: len(lives), DiskSize: 64 * mebibyte})).Machines()
	img := makeImage(t, w.wares, 4, 1)
	web := startWebServer(t)
	url := web.put("disk.raw", serveFile(img.raw))
	nodes := make([]string, len(lives))
	t.Run("up", func(t *testing.T) {
		for i, l := range lives {
			t.Run(l.name, func(t *testing.T) {
				t.Parallel()
				nodes[i] = w.beginKind(t, l, machines[i], img, url)
			})
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	must(t, w.conductor.Stop())
	must(t, w.conductor.Start(t.Context()))
	t.Run("down", func(t *testing.T) {
		for i, l := range lives {
			t.Run(l.name, func(t *testing.T) {
				t.Parallel()
				w.endKind(t, l, machines[i], nodes[i], img, url)
			})
		}
	})
	w.checkNothingHeld(t)
}

// kindOfLife is one machine's way through its deployments.
type kindOfLife struct{ name, boot, deploy, mode string }

// runs is what the machine is to run.
func (l kindOfLife) runs() room.Boot {
	if l.deploy == "ramdisk" {
		return room.BootRamdisk
	}
	return room.BootDisk
}

// order is the body of the request for a deployment. A custom agent is told what to write by a step of the user's.
func (l kindOfLife) order(target string, img diskImage, url string) map[string]any {
	order := map[string]any{"target": target}
	if l.deploy == "custom-agent" {
		order["deploy_steps"] = []any{map[string]any{"interface": "deploy", "step": "install_image", "priority": 70,
			"args": map[string]any{"image_info": map[string]any{"id": "disk.raw", "urls": []string{url}, "disk_format": "raw",
				"image_type": "whole-disk", "os_hash_algo": "sha256", "os_hash_value": img.sum, "stream_raw_images": true}}}}
	}
	return order
}

func (w *world) beginKind(t *testing.T, l kindOfLife, m *room.Machine, img diskImage, url string) string {
	t.Helper()
	ctx, info := t.Context(), m.Info()
	node, err := w.api.enrol(ctx, info, w.ramdisk, map[string]any{"boot_interface": l.boot, "deploy_interface": l.deploy,
		"properties": map[string]any{"capabilities": "boot_mode:" + l.mode, "cpu_arch": info.CPUArch, "memory_mb": info.MemoryMB,
			"local_gb": 1}})
	must(t, err)
	makeAvailable(t, w, node)
	if l.deploy == "ramdisk" {
		checkRefused(t, w.api.provision(ctx, node, "active"), `Missing are: \['kernel', 'ramdisk'\]`)
		must(t, w.api.patch(ctx, node, set("/instance_info", map[string]any{"kernel": w.ramdisk.Kernel, "ramdisk": w.ramdisk.Initrd,
			"ramdisk_kernel_arguments": "role=worker"})))
	}
	if l.deploy == "anaconda" {
		must(t, w.api.patch(ctx, node, set("/instance_info", map[string]any{"image_source": url, "image_type": "partition", "root_gb": 1,
			"image_os_hash_algo": "sha256", "image_os_hash_value": img.sum, "image_disk_format": "raw", "kernel": w.ramdisk.Kernel,
			"ramdisk": w.ramdisk.Initrd, "stage2": w.ramdisk.Initrd})))
	}
	w.deployKind(ctx, t, l, m, node, l.order("active", img, url))
	return node
}

// deployKind orders a deployment and waits until the machine runs it.
func (w *world) deployKind(ctx context.Context, t *testing.T, l kindOfLife, m *room.Machine, node string, order map[string]any) {
	t.Helper()
	starts := m.Snapshot().Starts
	must(t, w.api.do(ctx, http.MethodPut, "/v1/nodes/"+node+"/states/provision", order, nil))
	settled, err := w.api.settle(ctx, node)
	must(t, err)
	if settled.ProvisionState != "active" || settled.LastError != "" {
		t.Fatalf("the node is in %s: %s", settled.ProvisionState, settled.LastError)
	}
	w.awaitKind(t, l, m, starts+1)
}

// awaitKind waits until the machine runs what it is to, started often enough.
func (w *world) awaitKind(t *testing.T, l kindOfLife, m *room.Machine, starts int) {
	t.Helper()
	eventually(t, "the machine runs its instance", func() error {
		if got := m.Snapshot(); got.Booted != l.runs() || got.Starts < starts {
			return fmt.Errorf("it runs %q (%s), started %d times; inserted is %q", got.Booted, got.BootError, got.Starts, got.Media)
		}
		return nil
	})
}

func (w *world) endKind(t *testing.T, l kindOfLife, m *room.Machine, node string, img diskImage, url string) {
	t.Helper()
	ctx := t.Context()
	// An instance boots as long as it lives, also when the worker that it boots from was started anew.
	starts := m.Snapshot().Starts
	must(t, w.api.do(ctx, http.MethodPut, "/v1/nodes/"+node+"/states/power", map[string]any{"target": "rebooting"}, nil))
	w.awaitKind(t, l, m, starts+1)
	w.deployKind(ctx, t, l, m, node, l.order("rebuild", img, url))
	before := m.Snapshot().Begun["erase_devices"]
	w.checkTornDown(ctx, t, node, m)
	if m.Snapshot().Begun["erase_devices"] == before {
		t.Error("the machine was not cleaned")
	}
}
