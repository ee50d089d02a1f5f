package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/catalog"
	"github.com/ironmaster/ironmaster/drivers/dhcp"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/drivers/pxe"
)

// checkNetworkBoot looks at what pxe, ipxe, http and http-ipxe need. Where only ironic's defaults name these, what is missing is
// a warning: the conductor starts without them.
func (c *checker) checkNetworkBoot(ctx context.Context) []finding {
	s, _, release, err := c.settings(ctx)
	if err != nil {
		return nil // the hardware's check says so
	}
	wanted, err := explicitLists(s)
	if err != nil {
		return nil
	}
	list := wanted.Interfaces[drivers.TypeBoot]
	n := networkBootCheck{s: s, networks: catalog.New(nominalParts(release)).Names(drivers.TypeNetwork), names: slices.DeleteFunc(networkBootNames(release), func(name string) bool {
		return !slices.Contains(list.Names, name)
	})}
	if len(n.names) == 0 {
		return nil
	}
	if _, err := pxe.New(pxeConfig(s, release), dhcp.None{}, nil, image.Sources{}); err != nil {
		n.fail("correct the template, or take the option out for the one that is built in", "%v", err)
	}
	n.folders()
	n.addresses()
	n.loaders()
	n.dhcp()
	if len(n.found) == 0 {
		return []finding{okay("%v can boot machines; DHCP through %s", n.names, s.DHCP.Provider)}
	}
	if !list.Explicit {
		for i := range n.found {
			n.found[i].level = levelWarn
		}
	}
	return n.found
}

type networkBootCheck struct {
	s     *config.Settings
	names []string // of the boot interfaces that are enabled
	// networks are the network interfaces of the build.
	networks []string
	found    []finding
}

func (n *networkBootCheck) fail(remedy, format string, args ...any) {
	n.found = append(n.found, finding{levelFail, fmt.Sprintf(format, args...), remedy})
}

// has tells whether one of these interfaces is enabled, or a vendor's that is like it.
func (n *networkBootCheck) has(names ...string) bool {
	return slices.ContainsFunc(n.names, func(name string) bool { return slices.Contains(names, cmp.Or(likeOf[name], name)) })
}

func (n *networkBootCheck) folders() {
	var dirs []namedDir
	if n.has("pxe", "ipxe") {
		dirs = append(dirs, namedDir{"[pxe]tftp_root", n.s.PXE.TFTPRoot})
	}
	if n.has("ipxe", "http", "http-ipxe") {
		dirs = append(dirs, namedDir{"[deploy]http_root", n.s.Deploy.HTTPRoot})
	}
	cache := kernelCache(n.s).MasterDir
	for _, d := range append(dirs, namedDir{"[pxe]tftp_master_path", cache}) {
		if err := tryWriting(d.path); err != nil {
			n.fail(fmt.Sprintf("let the conductor's user write to %s, or set the option to another directory", d.path), "%s: %v",
				d.option, err)
		}
	}
	for _, d := range dirs {
		if device(d.path) != device(cache) {
			n.fail("set [pxe]tftp_master_path to a directory of that file system: kernels and ramdisks are linked, not copied",
				"%s and [pxe]tftp_master_path lie on different file systems", d.option)
		}
	}
}

func (n *networkBootCheck) addresses() {
	if n.s.PXE.TFTPServer == "" && n.has("pxe", "ipxe") {
		n.fail("set it to the address by which machines reach the TFTP server, or take it out: it is $my_ip then",
			"[pxe]tftp_server is empty")
	}
	if n.s.Deploy.HTTPURL == "" && n.has("ipxe", "http", "http-ipxe") {
		n.fail(fmt.Sprintf("set it to where machines find [deploy]http_root: this conductor serves it at %s",
			n.s.Ironmaster.ImageServerURL), "[deploy]http_url is not set")
	}
	if n.s.PXE.IPXEUseSwift {
		n.fail("take it out: kernels and ramdisks are served from [deploy]http_root", "[pxe]ipxe_use_swift is not supported")
	}
}

// packaged tells which file of Debian 12 is meant to be what boot file, as an entry of [pxe]loader_file_paths.
var packaged = map[string]string{
	"pxelinux.0":    "pxelinux.0:/usr/lib/PXELINUX/pxelinux.0,ldlinux.c32:/usr/lib/syslinux/modules/bios/ldlinux.c32 (packages pxelinux, syslinux-common)",
	"bootx64.efi":   "bootx64.efi:/usr/lib/shim/shimx64.efi.signed,grubx64.efi:/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed (packages shim-signed, grub-efi-amd64-signed)",
	"undionly.kpxe": "undionly.kpxe:/usr/lib/ipxe/undionly.kpxe (package ipxe)",
	"snponly.efi":   "snponly.efi:/usr/lib/ipxe/snponly.efi (package ipxe)",
}

// loaders looks for the files that DHCP sends machines to.
func (n *networkBootCheck) loaders() {
	p := n.s.PXE
	for _, name := range slices.Sorted(maps.Keys(p.LoaderFilePaths)) {
		if _, err := os.Stat(p.LoaderFilePaths[name]); err != nil {
			n.fail("install the package that has it, or correct the path", "[pxe]loader_file_paths, %s: %v", name, err)
		}
	}
	for _, one := range []struct {
		boot, root string
		files      []string
	}{
		{"pxe", p.TFTPRoot, []string{p.BootfileName, p.UEFIBootfileName}},
		{"ipxe", p.TFTPRoot, []string{p.IPXEBootfileName, p.UEFIIPXEBootfileName}},
		{"http", n.s.Deploy.HTTPRoot, []string{p.UEFIBootfileName}},
		{"http-ipxe", n.s.Deploy.HTTPRoot, []string{p.UEFIIPXEBootfileName}},
	} {
		for _, file := range one.files {
			_, copied := p.LoaderFilePaths[file]
			if _, err := os.Stat(filepath.Join(one.root, file)); err == nil || copied || !n.has(one.boot) {
				continue
			}
			remedy := "put it there, or name it in [pxe]loader_file_paths"
			if example := packaged[file]; example != "" {
				remedy += ": " + example
			}
			n.found = append(n.found, finding{levelWarn, fmt.Sprintf("%s: no boot loader %s", one.boot,
				filepath.Join(one.root, file)), remedy})
		}
	}
}

func (n *networkBootCheck) dhcp() {
	switch n.s.DHCP.Provider {
	case "neutron":
		if !slices.ContainsFunc(n.s.Default.EnabledNetwork, func(name string) bool {
			return name != "noop" && slices.Contains(n.networks, name)
		}) {
			n.fail("set it to dnsmasq, or to none when the DHCP server has been told by hand", "[dhcp]dhcp_provider is neutron, and "+
				"no network interface but noop is enabled: no machine can boot from the network")
		}
	case "dnsmasq":
		for _, d := range []namedDir{{"[dnsmasq]dhcp_optsdir", n.s.Dnsmasq.OptsDir}, {"[dnsmasq]dhcp_hostsdir", n.s.Dnsmasq.HostsDir}} {
			if err := tryWriting(d.path); err != nil {
				n.fail(fmt.Sprintf("let the conductor's user write to %s, which dnsmasq reads", d.path), "%s: %v", d.option, err)
			}
		}
	}
}
