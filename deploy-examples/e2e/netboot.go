package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// virtualMedia is the boot interface that needs neither DHCP nor TFTP.
const virtualMedia = "redfish-virtual-media"

// bootFrom is what BOOT names: a boot interface, or volume for ipxe and an instance that boots from a volume.
func bootFrom(named string) (boot string, volume bool, err error) {
	all := []string{virtualMedia, "pxe", "ipxe", "volume"}
	switch {
	case named == "":
		return virtualMedia, false, nil
	case !slices.Contains(all, named):
		return "", false, fmt.Errorf("BOOT is one of %v, not %q", all, named)
	case named == "volume":
		return "ipxe", true, nil
	}
	return named, false, nil
}

// loaders are Debian's, by the name that machines ask for.
var loaders = map[string]string{
	// BIOS. What SeaBIOS has for network cards is an iPXE already: it loads pxelinux, and with ipxe the script at once.
	"undionly.kpxe": "/usr/lib/ipxe/undionly.kpxe",
	"pxelinux.0":    "/usr/lib/PXELINUX/pxelinux.0",
	"ldlinux.c32":   "/usr/lib/syslinux/modules/bios/ldlinux.c32",
	// UEFI: iPXE, or shim, which loads GRUB.
	"snponly.efi": "/usr/lib/ipxe/snponly.efi",
	"bootx64.efi": "/usr/lib/shim/shimx64.efi.signed",
	"grubx64.efi": "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed",
}

// overNetwork tells whether the machines boot the ramdisk from the network.
func (t *trial) overNetwork() bool { return t.boot != virtualMedia }

// The folders between conductor and dnsmasq, and those that machines load from.
func (t *trial) dhcpHosts() string   { return filepath.Join(t.dir, "dnsmasq", "hostsdir.d") }
func (t *trial) dhcpOptions() string { return filepath.Join(t.dir, "dnsmasq", "optsdir.d") }
func (t *trial) dhcpLeases() string  { return filepath.Join(t.dir, "dhcp-leases") }

// bootOptions is what ironic.conf has to say for it.
func (t *trial) bootOptions() map[string]map[string]string {
	if !t.overNetwork() {
		return nil
	}
	var files []string
	for name, from := range loaders {
		files = append(files, name+":"+from)
	}
	slices.Sort(files)
	return map[string]map[string]string{
		"DEFAULT": {"enabled_boot_interfaces": "fake,redfish-virtual-media," + t.boot, "enabled_storage_interfaces": "external,noop"},
		"pxe":     {"loader_file_paths": strings.Join(files, ",")},
		"dhcp":    {"dhcp_provider": "dnsmasq"},
		"dnsmasq": {"dhcp_hostsdir": t.dhcpHosts(), "dhcp_optsdir": t.dhcpOptions(), "dhcp_leasefile": t.dhcpLeases()},
		// Firmware asks at port 69; the namespace has it free.
		"ironmaster": {"tftp_listen": net.JoinHostPort(address, "69")},
	}
}

// dhcpArguments make dnsmasq read what the conductor writes, as ironic's documentation has it.
func (t *trial) dhcpArguments() ([]string, error) {
	if !t.overNetwork() {
		return nil, nil
	}
	for _, dir := range []string{t.dhcpHosts(), t.dhcpOptions()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	return []string{"--dhcp-hostsdir=" + t.dhcpHosts(), "--dhcp-optsdir=" + t.dhcpOptions(), "--dhcp-match=set:ipxe,175", "--log-dhcp"}, nil
}
