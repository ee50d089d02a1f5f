package agent

import (
	"net/http"
	"slices"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

func bootloaderAgent(t *testing.T, ended store.Dict) *agentServer {
	return newAgent(t, func(r *http.Request, body store.Dict) (int, any) {
		if r.Method == http.MethodGet {
			return 200, commandList(ended)
		}
		return 200, cmd(shortName(body.String("name")), "RUNNING")
	})
}

func TestBootloaderFailureKeepsTheLogs(t *testing.T) {
	failed := cmd("install_bootloader", "FAILED")
	failed["command_error"] = store.Dict{"message": "no ESP"}
	a := bootloaderAgent(t, failed)
	n := deployNode()
	a.adopt(t, n)
	g := newRig(t, quick(), n)
	_, err := g.deploy.prepareInstanceBoot(t.Context(), g.task, nil)
	want := "Failed to install a bootloader when deploying node n1: no ESP"
	if store.KindOf(err) != store.InstanceDeployFailure || err.Error() != want {
		t.Error(err)
	}
	if last := a.posts[len(a.posts)-1]; last.String("name") != "log.collect_system_logs" {
		t.Errorf("last command %v", last)
	}
}

func TestOldAgentsInstallTheBootloaderWithoutABootMode(t *testing.T) {
	a := newAgent(t, func(r *http.Request, body store.Dict) (int, any) {
		if r.Method == http.MethodGet {
			return 200, commandList(cmd("install_bootloader", "SUCCEEDED"))
		}
		if _, ok := body.Dict("params")["target_boot_mode"]; ok {
			return 200, store.Dict{"command_status": "FAILED", "command_error": store.Dict{"type": "TypeError", "message": "m"}}
		}
		return 200, cmd(shortName(body.String("name")), "RUNNING")
	})
	n := deployNode()
	a.adopt(t, n)
	g := newRig(t, quick(), n)
	if _, err := g.deploy.prepareInstanceBoot(t.Context(), g.task, nil); err != nil {
		t.Error(err)
	}
	if !slices.Equal(g.publisher.withdrawn, []string{"n1"}) {
		t.Errorf("withdrawn %v", g.publisher.withdrawn)
	}
}

// Which boot loader is installed, and what the agent is told of it, is as ironic does it.
func TestBootloader(t *testing.T) {
	ids := store.Dict{"root uuid": "root", "efi system partition uuid": "esp", "PReP Boot partition uuid": "prep"}
	onRAID := func(n *store.Node) {
		n.TargetRAIDConfig = store.Dict{"logical_disks": []any{map[string]any{"controller": "software"}}}
	}
	bios := func(n *store.Node) { n.Properties["capabilities"] = "boot_mode:bios" }
	for name, c := range map[string]struct {
		change func(*store.Node)
		want   store.Dict // nil when none is installed
	}{
		"whole disk":         {func(*store.Node) {}, store.Dict{"root_uuid": "root", "target_boot_mode": "uefi"}},
		"whole disk by BIOS": {bios, nil},
		"partition":          {asPartition, store.Dict{"root_uuid": "root", "efi_system_part_uuid": "esp", "target_boot_mode": "uefi"}},
		"partition by BIOS": {func(n *store.Node) { asPartition(n); bios(n) },
			store.Dict{"root_uuid": "root", "target_boot_mode": "bios"}},
		"partition on Power": {func(n *store.Node) { asPartition(n); bios(n); n.Properties["cpu_arch"] = "ppc64le" },
			store.Dict{"root_uuid": "root", "prep_boot_part_uuid": "prep", "target_boot_mode": "bios"}},
		"software RAID": {func(n *store.Node) { bios(n); onRAID(n) }, store.Dict{"root_uuid": "root", "target_boot_mode": "bios"}},
		"software RAID, told": {func(n *store.Node) { bios(n); onRAID(n); n.InstanceInfo["image_rootfs_uuid"] = "told" },
			store.Dict{"root_uuid": "told", "target_boot_mode": "bios"}},
		"software RAID and Glance": {func(n *store.Node) {
			onRAID(n)
			n.InstanceInfo["image_source"] = "5fd4f3f2-0f3a-4c5a-9d0e-3a1d7a1f0c11"
		}, store.Dict{"root_uuid": "glance's", "target_boot_mode": "uefi"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAgent(t, func(r *http.Request, body store.Dict) (int, any) {
				answer := cmd(shortName(body.String("name")), "RUNNING")
				if r.Method == http.MethodGet {
					return 200, commandList(cmd("install_bootloader", "SUCCEEDED"))
				}
				if body.String("name") == "standby.get_partition_uuids" {
					answer["command_result"] = ids
				}
				return 200, answer
			})
			n := deployNode()
			c.change(n)
			a.adopt(t, n)
			g := newRig(t, quick(), n)
			g.images.meta.Properties = store.Dict{"rootfs_uuid": "glance's"}
			if _, err := g.deploy.prepareInstanceBoot(t.Context(), g.task, nil); err != nil {
				t.Fatal(err)
			}
			var told store.Dict
			for _, post := range a.posts {
				if post.String("name") == "image.install_bootloader" {
					told = post.Dict("params")
				}
			}
			if (told == nil) != (c.want == nil) {
				t.Fatalf("the agent is told %v", told)
			}
			for _, key := range []string{"root_uuid", "efi_system_part_uuid", "prep_boot_part_uuid", "target_boot_mode"} {
				if told.String(key) != c.want.String(key) {
					t.Errorf("%s: %v, want %v", key, told[key], c.want[key])
				}
			}
			if n.DriverInternalInfo.String("root_uuid_or_disk_id") != "root" {
				t.Errorf("driver_internal_info %v", n.DriverInternalInfo)
			}
		})
	}
}

func TestBootDeviceAfterDeployment(t *testing.T) {
	for name, c := range map[string]struct {
		change     func(*store.Node)
		device     string
		persistent bool
	}{
		"default": {func(*store.Node) {}, "disk", true},
		"never":   {func(n *store.Node) { n.DriverInfo["force_persistent_boot_device"] = "Never" }, "disk", false},
		"lenovo":  {func(n *store.Node) { n.Properties["vendor"] = "Lenovo" }, "", false},
		"lenovo by BIOS": {func(n *store.Node) {
			n.Properties["vendor"], n.Properties["capabilities"] = "Lenovo", "boot_mode:bios"
		}, "disk", true},
	} {
		a := bootloaderAgent(t, cmd("install_bootloader", "SUCCEEDED"))
		n := deployNode()
		c.change(n)
		a.adopt(t, n)
		g := newRig(t, quick(), n)
		if _, err := g.deploy.prepareInstanceBoot(t.Context(), g.task, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if g.management.device != c.device || g.management.persistent != c.persistent {
			t.Errorf("%s: %s, persistent %v", name, g.management.device, g.management.persistent)
		}
	}
}
