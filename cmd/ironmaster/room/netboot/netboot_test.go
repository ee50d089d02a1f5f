package netboot

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// ironicPXE is what ironic's template for PXELINUX comes to.
const ironicPXE = `default deploy

label deploy
kernel NODE/deploy_kernel
append initrd=NODE/deploy_ramdisk selinux=0 troubleshoot=0 text ipa-api-url=http://127.0.0.1:6385
ipappend 2

label boot_whole_disk
COM32 chain.c32
append mbr:{{ DISK_IDENTIFIER }}

label boot_ramdisk
kernel no_kernel
append initrd=no_ramdisk root=/dev/ram0 text  
`

// ironicGRUB is what its template for GRUB comes to.
const ironicGRUB = `set default=deploy
set timeout=5
set hidden_timeout_quiet=false

menuentry "deploy"  {
    linux NODE/deploy_kernel selinux=0 troubleshoot=0 text ipa-api-url=http://127.0.0.1:6385 boot_server=127.0.0.1
    initrd NODE/deploy_ramdisk
}

menuentry "boot_whole_disk"  {
    linux chain.c32 mbr:(( DISK_IDENTIFIER ))
}
`

// initialGRUB is what ironic puts into grub/grub.cfg.
const initialGRUB = "echo Booting from $prefix\n\nsource /$net_default_mac.conf\n\n"

const oldInitialGRUB = "set default=initial\nset timeout=5\n\nmenuentry \"initial\"  {\nconfigfile /$net_default_mac.conf\n}\n"

// bootIPXE is ironic's script for all machines.
const bootIPXE = `#!ipxe

# NOTE: Loop over all network devices
set netid:int32 -1
:loop
inc netid || chain pxelinux.cfg/${mac:hexhyp} || goto old_rom
isset ${net${netid}/mac} || goto loop_done
echo Attempting to boot from MAC ${net${netid}/mac:hexhyp}
chain pxelinux.cfg/${net${netid}/mac:hexhyp} || goto loop

echo Exiting pxe config to allow boot to continue on next device
exit 0

:loop_done
echo PXE boot failed! No configuration found for any of the present NICs.
echo Press any key to reboot...
prompt --timeout 180
reboot

:old_rom
echo PXE boot failed! No configuration found for NIC ${mac:hexhyp}.
reboot
`

// ironicIPXE is ironic's script for one machine. START is the label that it begins with.
const ironicIPXE = `#!ipxe

set attempts:int32 10
set i:int32 0

goto START

:deploy
imgfree
kernel --timeout 60000 HTTP/NODE/deploy_kernel selinux=0 troubleshoot=0 text ipa-api-url=http://127.0.0.1:6385 BOOTIF=${mac} initrd=deploy_ramdisk || goto retry

initrd --timeout 60000 HTTP/NODE/deploy_ramdisk || goto retry
boot

:retry
iseq ${i} ${attempts} && goto fail ||
inc i
echo No response, retrying in ${i} seconds.
sleep ${i}
goto deploy

:fail
echo Failed to get a response after ${attempts} attempts
poweroff

:boot_whole_disk
sanboot --no-describe || exit 0
`

var (
	images      = map[string]string{"NODE/deploy_kernel": "kernel", "NODE/deploy_ramdisk": "ramdisk"}
	macFile     = "pxelinux.cfg/" + dashed(testMAC)
	pxelinuxMAC = "pxelinux.cfg/01-" + dashed(testMAC)
)

func with(files map[string]string, more ...string) map[string]string {
	all := map[string]string{}
	for name, content := range files {
		all[name] = content
	}
	for i := 0; i < len(more); i += 2 {
		all[more[i]] = more[i+1]
	}
	return all
}

func pxelinuxFiles(config string) map[string]string {
	return with(images, "pxelinux.0", bitsPXELINUX, "ldlinux.c32", "c32", pxelinuxMAC, config)
}

func grubFiles(initial, config string) map[string]string {
	return with(images, "bootx64.efi", bitsShim, "grubx64.efi", bitsGRUB, "grub/grub.cfg", initial, testMAC+".conf", config)
}

func ipxeScripts(start string) map[string]string {
	return with(images, "boot.ipxe", bootIPXE, macFile, strings.Replace(ironicIPXE, "START", start, 1))
}

// TestBoot boots machines as ironic's files and options would have it, and as they would not.
func TestBoot(t *testing.T) {
	const deployed = "selinux=0 troubleshoot=0 text ipa-api-url=http://127.0.0.1:6385"
	for _, c := range []struct {
		name            string
		uefi, http      bool
		options         []string
		onTFTP, onHTTP  map[string]string
		line            string
		action          Action
		reason, failure string
	}{
		{name: "PXELINUX", options: tftpOptions("pxelinux.0"), onTFTP: pxelinuxFiles(ironicPXE),
			line: "BOOT_IMAGE=NODE/deploy_kernel initrd=NODE/deploy_ramdisk " + deployed + " BOOTIF=01-52-54-00-12-34-56"},
		{name: "PXELINUX with the disk's configuration", options: tftpOptions("pxelinux.0"), action: BootNext, reason: "mbr:" + testID,
			onTFTP: with(pxelinuxFiles(strings.NewReplacer("default deploy", "default boot_whole_disk", "{{ DISK_IDENTIFIER }}", testID).
				Replace(ironicPXE)), "chain.c32", "x", "libcom32.c32", "x", "libutil.c32", "x")},
		{name: "PXELINUX and another disk", options: tftpOptions("pxelinux.0"), failure: "unable to find the disk",
			onTFTP: with(pxelinuxFiles(strings.Replace(ironicPXE, "default deploy", "default boot_whole_disk", 1)),
				"chain.c32", "x", "libcom32.c32", "x", "libutil.c32", "x")},
		{name: "PXELINUX without its library", options: tftpOptions("pxelinux.0"), failure: "ldlinux.c32",
			onTFTP: with(images, "pxelinux.0", bitsPXELINUX, pxelinuxMAC, ironicPXE)},
		{name: "PXELINUX without configuration", options: tftpOptions("pxelinux.0"), failure: "no configuration file found",
			onTFTP: with(images, "pxelinux.0", bitsPXELINUX, "ldlinux.c32", "x")},
		{name: "PXELINUX with a configuration for all", options: tftpOptions("boot/pxelinux.0"), action: BootNext, reason: "LOCALBOOT",
			onTFTP: map[string]string{"boot/pxelinux.0": bitsPXELINUX, "boot/ldlinux.c32": "x",
				"boot/pxelinux.cfg/default": "DEFAULT disk\nLABEL disk\n  LOCALBOOT -1\n"}},
		{name: "PXELINUX by address", options: tftpOptions("pxelinux.0"), line: "BOOT_IMAGE=a b initrd=c",
			onTFTP: map[string]string{"pxelinux.0": bitsPXELINUX, "ldlinux.c32": "x", "a": "x", "c": "x",
				"pxelinux.cfg/7F07": "default a b initrd=c\n"}},
		{name: "PXELINUX without a ramdisk", options: tftpOptions("pxelinux.0"), failure: "NODE/deploy_ramdisk: the server has no such file",
			onTFTP: with(map[string]string{"NODE/deploy_kernel": "x"}, "pxelinux.0", bitsPXELINUX, "ldlinux.c32", "x", pxelinuxMAC, ironicPXE)},
		{name: "an empty kernel", options: tftpOptions("pxelinux.0"), failure: "NODE/deploy_kernel: the file is empty",
			onTFTP: with(pxelinuxFiles(ironicPXE), "NODE/deploy_kernel", "")},
		{name: "PXELINUX under UEFI", uefi: true, options: tftpOptions("pxelinux.0"), onTFTP: pxelinuxFiles(ironicPXE),
			failure: "not a program of the machine's firmware"},

		{name: "GRUB behind shim", uefi: true, options: tftpOptions("bootx64.efi"), onTFTP: grubFiles(initialGRUB, ironicGRUB),
			line: "BOOT_IMAGE=NODE/deploy_kernel " + deployed + " boot_server=127.0.0.1"},
		{name: "GRUB with the older first configuration", uefi: true, options: tftpOptions("bootx64.efi"),
			onTFTP: grubFiles(oldInitialGRUB, strings.ReplaceAll(strings.ReplaceAll(ironicGRUB, "linux ", "linuxefi "), "initrd ", "initrdefi ")),
			line:   "BOOT_IMAGE=NODE/deploy_kernel " + deployed + " boot_server=127.0.0.1"},
		{name: "GRUB over HTTP", uefi: true, http: true, options: []string{"67,HTTP/bootx64.efi", "60,HTTPClient"},
			onHTTP: grubFiles(initialGRUB, strings.ReplaceAll(ironicGRUB, "NODE", "/NODE")),
			line:   "BOOT_IMAGE=/NODE/deploy_kernel " + deployed + " boot_server=127.0.0.1"},
		{name: "GRUB without a configuration for the machine", uefi: true, options: tftpOptions("bootx64.efi"),
			onTFTP:  with(nil, "bootx64.efi", bitsShim, "grubx64.efi", bitsGRUB, "grub/grub.cfg", initialGRUB),
			failure: testMAC + ".conf: the server has no such file"},
		{name: "GRUB by MAC address", uefi: true, options: tftpOptions("efi/grub.efi"), action: BootNext, reason: "exit",
			onTFTP: map[string]string{"efi/grub.efi": bitsGRUB, "grub.cfg-01-" + dashed(testMAC): "menuentry 'disk' {\n exit\n}\n"}},
		{name: "GRUB without shim's second stage", uefi: true, options: tftpOptions("bootx64.efi"), failure: "shim cannot load",
			onTFTP: map[string]string{"bootx64.efi": bitsShim}},
		{name: "GRUB in a BIOS", options: tftpOptions("bootx64.efi"), onTFTP: grubFiles(initialGRUB, ironicGRUB),
			failure: "not a program of the machine's firmware"},

		{name: "iPXE in a BIOS", options: ipxeOptions("undionly.kpxe"), onTFTP: map[string]string{"undionly.kpxe": bitsUndi},
			onHTTP: ipxeScripts("deploy"), line: deployed + " BOOTIF=" + testMAC + " initrd=deploy_ramdisk"},
		{name: "iPXE under UEFI", uefi: true, options: ipxeOptions("snponly.efi"), onTFTP: map[string]string{"snponly.efi": bitsSnponly},
			onHTTP: ipxeScripts("deploy"), line: deployed + " BOOTIF=" + testMAC + " initrd=deploy_ramdisk"},
		{name: "iPXE over HTTP", uefi: true, http: true, onHTTP: with(ipxeScripts("deploy"), "snponly.efi", bitsSnponly),
			options: []string{"tag:!ipxe,67,HTTP/snponly.efi", "tag:ipxe,67,HTTP/boot.ipxe", "60,HTTPClient"},
			line:    deployed + " BOOTIF=" + testMAC + " initrd=deploy_ramdisk"},
		{name: "iPXE starts the disk of a BIOS", options: ipxeOptions("undionly.kpxe"), action: BootNext, reason: "sanboot",
			onTFTP: map[string]string{"undionly.kpxe": bitsUndi}, onHTTP: ipxeScripts("boot_whole_disk")},
		{name: "iPXE leaves UEFI to its next entry", uefi: true, options: ipxeOptions("snponly.efi"), action: BootNext, reason: "ended",
			onTFTP: map[string]string{"snponly.efi": bitsSnponly}, onHTTP: ipxeScripts("boot_whole_disk")},
		{name: "iPXE without a script for the machine", options: ipxeOptions("undionly.kpxe"), failure: "Press any key",
			onTFTP: map[string]string{"undionly.kpxe": bitsUndi}, onHTTP: map[string]string{"boot.ipxe": bootIPXE}},
		{name: "iPXE reboots", options: ipxeOptions("undionly.kpxe"), action: Reboot, reason: "no way",
			onTFTP: map[string]string{"undionly.kpxe": bitsUndi}, onHTTP: map[string]string{"boot.ipxe": "#!ipxe\necho no way\nreboot\n"}},
		{name: "iPXE is given itself", options: tftpOptions("undionly.kpxe"), onTFTP: map[string]string{"undionly.kpxe": bitsUndi},
			failure: "without end"},
		{name: "iPXE and a command that it does not have", options: ipxeOptions("undionly.kpxe"), failure: "sanbot: command not found",
			onTFTP: map[string]string{"undionly.kpxe": bitsUndi}, onHTTP: map[string]string{"boot.ipxe": "#!ipxe\nsanbot || exit 0\n"}},
		{name: "iPXE and a ramdisk of another name", uefi: true, options: ipxeOptions("snponly.efi"), failure: `the ramdisk "deploy_ramdisk"`,
			onTFTP: map[string]string{"snponly.efi": bitsSnponly}, onHTTP: with(images, "boot.ipxe",
				"#!ipxe\nkernel NODE/deploy_kernel initrd=deploy_ramdisk\ninitrd --name other NODE/deploy_ramdisk\nboot\n")},

		{name: "no options", action: BootNext, reason: "option 67"},
		{name: "no TFTP server", options: []string{"67,pxelinux.0"}, action: BootNext, reason: "option 255"},
		{name: "two TFTP servers", options: append(tftpOptions("pxelinux.0"), "150,127.0.0.9"), action: BootNext, reason: "option 150"},
		{name: "no loader", options: tftpOptions("pxelinux.0"), action: BootNext, reason: "no such file"},
		{name: "an empty loader", options: tftpOptions("pxelinux.0"), onTFTP: map[string]string{"pxelinux.0": ""}, action: BootNext,
			reason: "the file is empty"},
		{name: "a loader of an unknown kind", options: tftpOptions("pxelinux.0"), onTFTP: map[string]string{"pxelinux.0": "x"},
			failure: "none of shim, GRUB, iPXE and PXELINUX"},
		{name: "HTTP without its vendor class", uefi: true, http: true, options: []string{"67,HTTP/x"}, action: BootNext, reason: "option 60"},
		{name: "HTTP for a BIOS", http: true, options: []string{"67,HTTP/x", "60,HTTPClient"}, failure: "a BIOS does not boot over HTTP"},
		{name: "HTTP's answer for TFTP", uefi: true, options: []string{"67,HTTP/x", "60,HTTPClient"}, action: BootNext, reason: "over TFTP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := newLAN(t)
			l.put(t, l.tftpRoot, c.onTFTP)
			l.put(t, l.httpRoot, c.onHTTP)
			l.answer(t, c.options...)
			got, err := l.Boot(t.Context(), testMachine(t, c.uefi), c.http)
			switch {
			case c.failure != "":
				if err == nil || !strings.Contains(err.Error(), c.failure) {
					t.Errorf("it ended in %+v and the error %v, which should tell %q", got, err, c.failure)
				}
			case err != nil:
				t.Error(err)
			case got.Action != c.action || got.CommandLine != c.line || !strings.Contains(got.Reason, c.reason):
				t.Errorf("it ended in %+v", got)
			}
		})
	}
}

// TestRetryingScript lets a kernel come to the server only after iPXE asked for it in vain.
func TestRetryingScript(t *testing.T) {
	l := newLAN(t)
	l.put(t, l.tftpRoot, map[string]string{"undionly.kpxe": bitsUndi})
	l.put(t, l.httpRoot, map[string]string{"boot.ipxe": bootIPXE, macFile: strings.Replace(ironicIPXE, "START", "deploy", 1)})
	l.answer(t, ipxeOptions("undionly.kpxe")...)
	m := testMachine(t, false)
	m.Log = m.Log.Hook(onMessage{"iPXE says", func() { l.put(t, l.httpRoot, images) }})
	got, err := l.Boot(t.Context(), m, false)
	if err != nil || got.Action != BootKernel {
		t.Errorf("it ended in %+v: %v", got, err)
	}
}

// TestStrangersAreNotAnswered asks for machines that dnsmasq does not know, or is to ignore.
func TestStrangersAreNotAnswered(t *testing.T) {
	l := newLAN(t)
	for _, host := range []string{"", testMAC + ",ignore\n", "52:54:00:00:00:01,set:other\n"} {
		l.put(t, l.DHCP.HostsDir, map[string]string{"host": host})
		got, err := l.Boot(t.Context(), testMachine(t, false), false)
		if err != nil || got.Action != BootNext || !strings.Contains(got.Reason, errUnknown.Error()) {
			t.Errorf("with %q it ended in %+v: %v", host, got, err)
		}
	}
	leases, err := os.ReadFile(l.DHCP.LeaseFile)
	if !os.IsNotExist(err) {
		t.Errorf("there are leases: %s (%v)", leases, err)
	}
}

// TestLeases looks at the file that ironic learns addresses from.
func TestLeases(t *testing.T) {
	l := newLAN(t)
	must(t, os.WriteFile(l.DHCP.LeaseFile, []byte("1 52:54:00:00:00:01 127.7.0.9 * *\n2 "+testMAC+" 127.7.0.8 * *\n"), 0o644))
	l.answer(t)
	for range 2 {
		_, err := l.Boot(t.Context(), testMachine(t, false), false)
		must(t, err)
	}
	text, err := os.ReadFile(l.DHCP.LeaseFile)
	must(t, err)
	var found []string
	for line := range strings.Lines(string(text)) {
		found = append(found, strings.Join(strings.Fields(line)[1:3], " "))
	}
	want := fmt.Sprint([]string{"52:54:00:00:00:01 127.7.0.9", testMAC + " 127.7.0.1"})
	if fmt.Sprint(found) != want {
		t.Errorf("the leases are %v, not %s", found, want)
	}
}
