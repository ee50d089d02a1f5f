package pxe

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

const volumeUUID = "3be26c0b-03f2-4d2e-ae87-c02d7f33c123"

// volumeSite is a site whose node boots from a volume.
func volumeSite(t *testing.T, properties store.Dict, others ...store.Dict) *site {
	t.Helper()
	s := newSite(t, "uefi")
	s.task.Node.DriverInternalInfo[drivers.KeyBootVolume] = volumeUUID
	s.worker.targets = []*store.VolumeTarget{{UUID: volumeUUID, VolumeType: new("iscsi"), BootIndex: new(int64(0)), Properties: properties}}
	for i, p := range others {
		s.worker.targets = append(s.worker.targets, &store.VolumeTarget{UUID: "other", VolumeType: new("iscsi"), BootIndex: new(int64(i + 1)),
			Properties: p})
	}
	s.worker.connectors = []*store.VolumeConnector{{Type: new("ip"), ConnectorID: new("192.0.2.7")},
		{Type: new("iqn"), ConnectorID: new("iqn.2026-11.example:node")}}
	return s
}

var volumeProperties = store.Dict{"target_portal": "192.0.2.9:3260", "target_iqn": "iqn.2026-11.example:vol", "target_lun": float64(1),
	"auth_username": "chap", "auth_password": "se${cr}et"}

func TestAVolumeIsBooted(t *testing.T) {
	s := volumeSite(t, volumeProperties, store.Dict{"target_portal": "[2001:db8::9]:3260", "target_iqn": "iqn.b", "target_lun": "2"})
	b := s.boot(t, "ipxe")
	s.prepare(t, b)
	if err := b.PrepareInstance(t.Context(), s.task); err != nil {
		t.Fatal(err)
	}
	const want = `
:boot_iscsi
imgfree
set initiator-iqn iqn.2026-11.example:node
set username chap
set password se${cr}et
sanhook --drive 0x80 iscsi:192.0.2.9::3260:1:iqn.2026-11.example:vol || goto volume_away
set username ` + `
set password ` + `
sanhook --drive 0x81 iscsi:[2001:db8::9]::3260:2:iqn.b || goto volume_away
set username chap
set password se${cr}et
sanboot --no-describe || goto volume_away
`
	text := read(t, s.http, nodeUUID, "config")
	if !strings.Contains(text, want) || !strings.Contains(text, "\ngoto boot_iscsi\n") {
		t.Errorf("want\n%s\nin\n%s", want, text)
	}
	if s.management.device != store.BootDevicePXE || !s.management.persistent || len(s.provider.options) == 0 {
		t.Errorf("boot device %s, persistent %v, DHCP %v", s.management.device, s.management.persistent, s.provider.options)
	}
	if err := b.CleanUpInstance(t.Context(), s.task); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(s.http, nodeUUID)); err == nil {
		t.Error("the configuration, which may hold a password, is left behind")
	}
}

// A machine that runs finds its volume at its next start, also when the folder was in the memory of a worker that was restarted.
func TestAVolumeIsOfferedAgain(t *testing.T) {
	s := volumeSite(t, volumeProperties)
	s.task.Node.ProvisionState = store.Active
	b := s.boot(t, "ipxe")
	if err := b.ResumeInstance(t.Context(), s.task); err != nil {
		t.Fatal(err)
	}
	if text := read(t, s.http, nodeUUID, "config"); !strings.Contains(text, "\ngoto boot_iscsi\n") {
		t.Errorf("got\n%s", text)
	}
	if s.management.device != "" {
		t.Errorf("the boot device of a machine that runs was set to %s", s.management.device)
	}
}

// The volume is gone, or is none that iPXE boots: the machine boots from its disk.
func TestNoVolumeIsBooted(t *testing.T) {
	gone := volumeSite(t, volumeProperties)
	gone.worker.targets = nil
	other := volumeSite(t, volumeProperties)
	other.worker.targets[0].VolumeType = new("fibre_channel")
	for name, s := range map[string]*site{"gone": gone, "fibre channel": other} {
		if err := s.boot(t, "ipxe").PrepareInstance(t.Context(), s.task); err != nil || s.management.device != store.BootDeviceDisk {
			t.Errorf("%s: %v, boot device %q", name, err, s.management.device)
		}
	}
}

func TestVolumeURLs(t *testing.T) {
	for _, c := range []struct {
		properties store.Dict
		want       string
	}{
		{volumeProperties, "iscsi:192.0.2.9::3260:1:iqn.2026-11.example:vol"},
		{store.Dict{"target_portal": "storage", "target_iqn": "iqn.a", "target_lun": float64(0)}, "iscsi:storage:::0:iqn.a"},
		{store.Dict{"target_portal": "[2001:db8::9]", "target_iqn": "iqn.a", "target_lun": "0"}, "iscsi:[2001:db8::9]:::0:iqn.a"},
		{store.Dict{"target_portals": []any{"a:1", "b:2"}, "target_iqns": []any{"iqn.a", "iqn.b"}, "target_luns": []any{float64(3)}},
			"iscsi:a::1:3:iqn.a iscsi:b::2:3:iqn.a"},
		{store.Dict{"target_portal": []any{"a:1", "b:2"}, "target_iqn": []any{"iqn.a"}}, "iscsi:a::1::iqn.a"},
		{store.Dict{"target_portals": []any{}}, ""},
		{store.Dict{"target_portal": "a\nshell:1", "target_iqn": "iqn.a"}, "iscsi:ashell::1::iqn.a"},
		{nil, noVolumeURL},
	} {
		if got := volumeURL(c.properties); got != c.want {
			t.Errorf("%v: %q, want %q", c.properties, got, c.want)
		}
	}
}
