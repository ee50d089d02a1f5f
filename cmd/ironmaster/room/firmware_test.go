package room

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room/netboot"
)

// dnsmasqFolders makes folders of dnsmasq's, which know a machine once answer has been called.
func dnsmasqFolders(t *testing.T) netboot.Dnsmasq {
	t.Helper()
	return netboot.Dnsmasq{HostsDir: t.TempDir(), OptsDir: t.TempDir(), LeaseFile: filepath.Join(t.TempDir(), "leases")}
}

func answerDHCP(t *testing.T, d netboot.Dnsmasq, mac string, options ...string) {
	t.Helper()
	for path, text := range map[string]string{
		filepath.Join(d.HostsDir, "host"):  mac + ",set:tag,set:ironic\n",
		filepath.Join(d.OptsDir, "option"): strings.Join(options, "\n") + "\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// bootFrom switches the machine on with its boot source overridden once.
func bootFrom(t *testing.T, m *Machine, source schemas.BootSource, mode schemas.BootSourceOverrideMode) {
	t.Helper()
	client := connect(t, m)
	defer client.Logout()
	err := theSystem(t, client).SetBoot(&schemas.Boot{BootSourceOverrideTarget: source,
		BootSourceOverrideEnabled: schemas.OnceBootSourceOverrideEnabled, BootSourceOverrideMode: mode})
	if err != nil {
		t.Fatal(err)
	}
	reset(t, theSystem(t, client), schemas.ForceRestartResetType)
}

// TestNetworkBoot boots the agent from the network as UEFI does over HTTP, from the second interface: the first is not known.
func TestNetworkBoot(t *testing.T) {
	dhcp := dnsmasqFolders(t)
	m := openRoom(t, Config{DHCP: dhcp}).Machines()[0]
	ironic := newFakeIronic(t, m)
	loader := ironic.serve("snponly.efi", []byte("MZ iPXE"))
	ironic.serve("kernel", []byte("kernel"))
	ironic.serve("ramdisk", []byte("ramdisk"))
	script := ironic.serve("boot.ipxe", fmt.Appendf(nil, "#!ipxe\nkernel kernel ipa-api-url=%s ipa-agent-token=%s BOOTIF=${mac}\n"+
		"initrd ramdisk\nboot\n", ironic.URL, testToken))
	answerDHCP(t, dhcp, m.Info().MACs[1], "tag:!ipxe,67,"+loader, "tag:ipxe,67,"+script, "60,HTTPClient")
	bootFrom(t, m, "UefiHttp", schemas.UEFIBootSourceOverrideMode)
	eventually(t, "the agent's heartbeat", func() bool { return len(ironic.beats()) > 0 })
	if got := m.Snapshot(); got.Booted != BootAgent || ironic.beats()[0].Token != testToken {
		t.Errorf("the machine is %+v, its heartbeat %+v", got, ironic.beats()[0])
	}
	leases, err := os.ReadFile(dhcp.LeaseFile)
	if err != nil || !strings.Contains(string(leases), m.Info().MACs[1]+" 127.") {
		t.Errorf("the leases are %q (%v)", leases, err)
	}
}

// TestNetworkBootFails leaves a machine with a reason when network and disk have nothing for it.
func TestNetworkBootFails(t *testing.T) {
	dhcp := dnsmasqFolders(t)
	m := openRoom(t, Config{DHCP: dhcp}).Machines()[0]
	ironic := newFakeIronic(t, m)
	for _, c := range []struct {
		options []string
		mode    schemas.BootSourceOverrideMode
		source  schemas.BootSource
		want    string
	}{
		{nil, schemas.UEFIBootSourceOverrideMode, "UefiHttp", "option 67"},
		{[]string{"60,HTTPClient", "67," + ironic.serve("x.efi", []byte("x"))}, schemas.UEFIBootSourceOverrideMode, "UefiHttp",
			"not a program of the machine's firmware"},
		{nil, schemas.LegacyBootSourceOverrideMode, "UefiHttp", "a BIOS does not boot over HTTP"},
		{nil, schemas.LegacyBootSourceOverrideMode, schemas.PxeBootSource, "then the disk has no partition table"},
	} {
		answerDHCP(t, dhcp, m.Info().MACs[0], c.options...)
		bootFrom(t, m, c.source, c.mode)
		eventually(t, c.want, func() bool {
			got := m.Snapshot()
			return got.Booted == BootFailed && strings.Contains(got.BootError, c.want)
		})
	}
}

// TestNetworkBootGoesOn has a machine go on with its disk when nobody answers.
func TestNetworkBootGoesOn(t *testing.T) {
	m := openRoom(t, Config{DHCP: dnsmasqFolders(t)}).Machines()[0]
	fill(t, m)
	bootFrom(t, m, schemas.PxeBootSource, schemas.UEFIBootSourceOverrideMode)
	eventually(t, "the disk boots", func() bool { return m.Snapshot().Booted == BootDisk })
}

// TestALoaderSwitchesOff lets a script end the machine's power.
func TestALoaderSwitchesOff(t *testing.T) {
	dhcp := dnsmasqFolders(t)
	m := openRoom(t, Config{DHCP: dhcp}).Machines()[0]
	ironic := newFakeIronic(t, m)
	answerDHCP(t, dhcp, m.Info().MACs[0], "tag:!ipxe,67,"+ironic.serve("x.efi", []byte("MZ iPXE")), "60,HTTPClient",
		"tag:ipxe,67,"+ironic.serve("x.ipxe", []byte("#!ipxe\npoweroff\n")))
	bootFrom(t, m, "UefiHttp", schemas.UEFIBootSourceOverrideMode)
	eventually(t, "the power is off", func() bool { got := m.Snapshot(); return got.Starts == 1 && !got.Powered })
}
