package pxe

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// ramdiskSite is a site whose node has a ramdisk for an instance.
func ramdiskSite(t *testing.T, mode string, instance store.Dict) *site {
	t.Helper()
	s := newSite(t, mode)
	s.task.Node.DeployInterface = "ramdisk"
	s.task.Node.InstanceInfo = store.Dict{"kernel": "http://images/own-kernel", "ramdisk": "http://images/own-ramdisk",
		"ramdisk_kernel_arguments": "role=db"}
	if instance != nil {
		s.task.Node.InstanceInfo = instance
	}
	return s
}

func TestAnInstanceThatIsARamdisk(t *testing.T) {
	for _, c := range []struct {
		boot, mode string
		instance   store.Dict
		files      []string
		want       []string
	}{
		{"pxe", "bios", nil, []string{"config", "kernel", "ramdisk"}, []string{"default boot_ramdisk\n", "\nkernel " + nodeUUID +
			"/kernel\nappend initrd=" + nodeUUID + "/ramdisk root=/dev/ram0 text nofb vga=normal role=db\n"}},
		{"pxe", "uefi", nil, []string{"config", "kernel", "ramdisk"}, []string{"set default=boot_ramdisk\n",
			" linux " + nodeUUID + "/kernel root=/dev/ram0 text nofb vga=normal role=db\n"}},
		{"http", "uefi", nil, []string{"config", "kernel", "ramdisk"}, []string{" linux /" + nodeUUID + "/kernel root=/dev/ram0 "}},
		{"ipxe", "uefi", nil, []string{"config", "kernel", "ramdisk"}, []string{"\ngoto boot_ramdisk\n", "\nkernel http://192.0.2.1:8080/" +
			nodeUUID + "/kernel root=/dev/ram0 text nofb vga=normal role=db initrd=ramdisk || goto boot_ramdisk\n"}},
		{"ipxe", "uefi", store.Dict{"boot_iso": "http://images/live.iso"}, []string{"boot_iso", "config"},
			[]string{"\ngoto boot_ramdisk\n", "\nsanboot http://192.0.2.1:8080/" + nodeUUID + "/boot_iso\n"}},
	} {
		s := ramdiskSite(t, c.mode, c.instance)
		b := s.boot(t, c.boot)
		if err := b.PrepareInstance(t.Context(), s.task); err != nil {
			t.Fatalf("%s %s: %v", c.boot, c.mode, err)
		}
		text := read(t, b.tree.root, nodeUUID, "config")
		for _, want := range c.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s %s: %q is missing in\n%s", c.boot, c.mode, want, text)
			}
		}
		if got := listing(t, filepath.Join(b.tree.root, nodeUUID)); !slices.Equal(got, c.files) {
			t.Errorf("%s %s: files %q", c.boot, c.mode, got)
		}
		if s.management.device != store.BootDevicePXE || !s.management.persistent || len(s.provider.options) == 0 {
			t.Errorf("%s: boot device %s, persistent %v, DHCP %v", c.boot, s.management.device, s.management.persistent, s.provider.options)
		}
		if len(s.images.held) != 0 {
			t.Errorf("%s: still holds %q", c.boot, s.images.held)
		}
		if err := b.CleanUpInstance(t.Context(), s.task); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(b.tree.root, nodeUUID)); err == nil {
			t.Errorf("%s: the instance's files are left behind", c.boot)
		}
	}
}

func TestAnISONeedsIPXE(t *testing.T) {
	s := ramdiskSite(t, "uefi", store.Dict{"boot_iso": "http://images/live.iso"})
	s.task.Node.BootInterface = "pxe"
	err := s.boot(t, "pxe").PrepareInstance(t.Context(), s.task)
	if store.KindOf(err) != store.InstanceDeployFailure || !strings.Contains(err.Error(), "instance_info.boot_iso") {
		t.Errorf("got %v", err)
	}
}

// A worker that comes back finds the folders as they were, or empty when they are in memory. The boot device of a machine that
// runs is left alone.
func TestAnInstanceIsServedAgain(t *testing.T) {
	s := ramdiskSite(t, "uefi", nil)
	b := s.boot(t, "ipxe")
	if err := b.PrepareInstance(t.Context(), s.task); err != nil {
		t.Fatal(err)
	}
	s.task.Node.ProvisionState, s.management.device = store.Active, ""
	before := s.images.fetched
	if err := b.ResumeInstance(t.Context(), s.task); err != nil || s.images.fetched != before {
		t.Errorf("%v, fetched %d files anew", err, s.images.fetched-before)
	}
	if err := os.RemoveAll(filepath.Join(s.http, nodeUUID)); err != nil {
		t.Fatal(err)
	}
	if err := b.ResumeInstance(t.Context(), s.task); err != nil {
		t.Fatal(err)
	}
	if text := read(t, s.http, nodeUUID, "config"); !strings.Contains(text, "goto boot_ramdisk") {
		t.Errorf("got\n%s", text)
	}
	if err := b.PrepareInstance(t.Context(), s.task); err != nil || s.management.device != "" {
		t.Errorf("taking over: %v, boot device %q", err, s.management.device)
	}
}

// A ramdisk needs an agent for its cleaning alone.
func TestARamdiskMayDoWithoutAnAgent(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		name   string
		global bool
		node   *bool
		kind   store.Kind
	}{
		{"cleaned", true, nil, store.MissingParameterValue},
		{"not cleaned", false, nil, ""},
		{"only this one is", false, &yes, store.MissingParameterValue},
		{"all but this one are", true, &no, ""},
	} {
		s := ramdiskSite(t, "uefi", nil)
		s.cfg.Images = Images{}
		s.task.AutomatedClean, s.task.Node.AutomatedClean = c.global, c.node
		if err := s.boot(t, "pxe").Validate(t.Context(), s.task); store.KindOf(err) != c.kind {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestValidateLooksAtWhatTheInstanceBoots(t *testing.T) {
	for name, c := range map[string]struct {
		deploy   string
		instance store.Dict
		kind     store.Kind
		text     string
	}{
		"a disk is no concern of the boot interface": {"direct", store.Dict{}, "", ""},
		"ramdisk without kernel":                     {"ramdisk", store.Dict{}, store.MissingParameterValue, "Missing are: ['kernel', 'ramdisk']"},
		"an instance may have an interface of its own": {"direct", store.Dict{"deploy_interface": "ramdisk"},
			store.MissingParameterValue, "Missing are: ['kernel', 'ramdisk']"},
		"two images": {"ramdisk", store.Dict{"boot_iso": "http://i", "image_source": "http://d"}, store.InvalidParameterValue,
			"An 'image_source' and 'boot_iso' parameter may not be specified at the same time"},
	} {
		s := newSite(t, "uefi")
		s.task.Node.DeployInterface = c.deploy
		maps.Copy(s.task.Node.InstanceInfo, c.instance)
		err := s.boot(t, "ipxe").Validate(t.Context(), s.task)
		if store.KindOf(err) != c.kind || err != nil && !strings.HasSuffix(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCapabilities(t *testing.T) {
	s := newSite(t, "uefi")
	for name, want := range map[string][]string{"pxe": {drivers.CanBootRamdisk, drivers.CanBootPXE},
		"ipxe": {drivers.CanBootISCSI, drivers.CanBootRamdisk, drivers.CanBootIPXE}} {
		for _, can := range want {
			if !drivers.Can(s.boot(t, name), can) {
				t.Errorf("%s cannot do %s", name, can)
			}
		}
		if drivers.Can(s.boot(t, name), drivers.CanBootRamdiskWithDrive) {
			t.Errorf("%s says that it has a place for config drives", name)
		}
	}
}
