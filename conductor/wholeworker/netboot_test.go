package wholeworker

import (
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
	"github.com/ironmaster/ironmaster/cmd/ironmaster/room/netboot"
)

// bootLoaders are Debian's boot loaders by the names that ironic has for them.
var bootLoaders = map[string]string{
	"pxelinux.0":    "/usr/lib/PXELINUX/pxelinux.0",
	"ldlinux.c32":   "/usr/lib/syslinux/modules/bios/ldlinux.c32",
	"bootx64.efi":   "/usr/lib/shim/shimx64.efi.signed",
	"grubx64.efi":   "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed",
	"undionly.kpxe": "/usr/lib/ipxe/undionly.kpxe",
	"snponly.efi":   "/usr/lib/ipxe/snponly.efi",
}

// bootNetwork is a network with a DHCP server, which machines boot from: dnsmasq's folders, and the port of all TFTP servers.
type bootNetwork struct {
	dhcp     netboot.Dnsmasq
	tftpPort int
}

// bootNetwork makes the folders of a network.
func (w *world) bootNetwork(t *testing.T) *bootNetwork {
	t.Helper()
	dir := filepath.Join(w.lab.Dir, "dnsmasq")
	n := &bootNetwork{dhcp: netboot.Dnsmasq{HostsDir: filepath.Join(dir, "hosts"), OptsDir: filepath.Join(dir, "opts"),
		LeaseFile: filepath.Join(dir, "leases")}}
	for _, folder := range []string{n.dhcp.HostsDir, n.dhcp.OptsDir} {
		must(t, os.MkdirAll(folder, 0o755))
	}
	must(t, os.WriteFile(n.dhcp.LeaseFile, nil, 0o644))
	ports, err := w.lab.ReservePorts(1)
	must(t, err)
	n.tftpPort = ports[0]
	return n
}

// options are those of a worker that boots machines there, with its boot files below dir and its TFTP server at an address.
func (n *bootNetwork) options(dir, address string) options {
	var loaders []string
	for _, name := range slices.Sorted(maps.Keys(bootLoaders)) {
		loaders = append(loaders, name+":"+bootLoaders[name])
	}
	return options{
		"dhcp":    {"dhcp_provider": "dnsmasq"},
		"dnsmasq": {"dhcp_hostsdir": n.dhcp.HostsDir, "dhcp_optsdir": n.dhcp.OptsDir, "dhcp_leasefile": n.dhcp.LeaseFile},
		"pxe": {"tftp_root": filepath.Join(dir, "tftp"), "tftp_master_path": filepath.Join(dir, "tftp", "master"),
			"tftp_server": address, "loader_file_paths": strings.Join(loaders, ","),
			"ipxe_bootfile_name": "undionly.kpxe", "uefi_ipxe_bootfile_name": "snponly.efi"},
		"deploy":     {"http_root": filepath.Join(dir, "http")},
		"ironmaster": {"tftp_listen": net.JoinHostPort(address, strconv.Itoa(n.tftpPort))},
	}
}

// plug connects a room's machines.
func (n *bootNetwork) plug(cfg room.Config) room.Config {
	cfg.DHCP, cfg.TFTPPort = n.dhcp, n.tftpPort
	return cfg
}

// asked tells whether a machine was given an address.
func (n *bootNetwork) asked(t *testing.T, mac string) bool {
	t.Helper()
	leases, err := os.ReadFile(n.dhcp.LeaseFile)
	must(t, err)
	return strings.Contains(string(leases), " "+mac+" ")
}
