package pxe

import (
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

// Whatever users, agents and volumes say, a configuration has the lines of its template and no other: each line is a command.
func FuzzConfiguration(f *testing.F) {
	for _, seed := range []string{"", "x", "quiet\nlabel evil\nkernel http://evil/", "\r\n:boot_iscsi\r\nshell", "{{ ROOT }} {% if %}", "(( DISK_IDENTIFIER ))",
		"$1 ${net0/mac}", "[fd00::7]:3260", "\x00\xff\u2028"} {
		f.Add(seed, seed, seed, seed)
	}
	kinds := []struct{ boot, mode, section string }{{"pxe", "bios", wholeDiskSection}, {"pxe", "uefi", ramdiskSection}, {"ipxe", "uefi", iscsiSection}}
	f.Fuzz(func(t *testing.T, kernel, ramdisk, disk, volume string) {
		for _, kind := range kinds {
			written := func(kernel, ramdisk, disk, volume string) string {
				s := newSite(t, kind.mode)
				n := s.task.Node
				n.InstanceInfo["kernel_append_params"], n.InstanceInfo["ramdisk_kernel_arguments"] = kernel, ramdisk
				n.DriverInternalInfo["root_uuid_or_disk_id"] = "0x" + disk
				boot := &store.VolumeTarget{UUID: "v1", Properties: store.Dict{"target_portal": volume, "target_iqn": volume,
					"auth_username": volume, "auth_password": volume}}
				initiator := "iqn" + volume
				s.worker.connectors = []*store.VolumeConnector{{Type: new("iqn"), ConnectorID: &initiator}}
				values, err := volumeOptions(t.Context(), s.task, boot)
				if err != nil {
					t.Fatal(err)
				}
				b := s.boot(t, kind.boot)
				if err := b.writeConfiguration(t.Context(), s.task, configuration{instance: values, section: kind.section}); err != nil {
					t.Fatal(err)
				}
				return read(t, b.tree.config(n))
			}
			got, want := written(kernel, ramdisk, disk, volume), written("x", "x", "x", "x")
			if strings.Count(got, "\n") != strings.Count(want, "\n") || strings.ContainsAny(got, "\r\x00") {
				t.Errorf("%s, %s: got\n%q", kind.boot, kind.mode, got)
			}
		}
	})
}
