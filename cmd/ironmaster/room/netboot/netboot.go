// Package netboot is what the machines of a room do when they boot from the network: the firmware asks for DHCP options
// and fetches the loader that they name, over TFTP or HTTP, and the loader fetches its configuration and obeys it, up to the
// kernel's command line.
//
// Everything is really fetched. Loaders are recognised by their content, as pxelinux, GRUB (behind shim or not) and iPXE are
// built by Debian, and what they read is interpreted as they do it, but more strictly: what they would complain about and
// go on after, ends the boot here. Menus have nobody in front of them, so their timeouts are over at once.
package netboot

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/rs/zerolog"
)

// Network is the network that the machines of a room are plugged into.
type Network struct {
	// DHCP is where the answers to DHCP requests come from.
	DHCP Dnsmasq
	// TFTPPort is where TFTP servers listen; 0 means 69. Firmware cannot be told otherwise by DHCP.
	TFTPPort int
	// Client fetches over HTTP.
	Client *http.Client

	leases sync.Mutex
}

// Machine is who boots.
type Machine struct {
	// MACs are its network interfaces in order. It boots from the first that is answered.
	MACs []string
	// UUID is the system's, of SMBIOS.
	UUID string
	// Address is the IPv4 address that DHCP gives to it.
	Address string
	UEFI    bool
	// DiskID is the disk's signature in the MBR as 0x and eight digits.
	DiskID func() (string, error)
	// DiskBoots tells whether the disk has something to boot.
	DiskBoots func() (bool, error)
	Log       zerolog.Logger
}

// Action is how a boot from the network ends.
type Action int

const (
	// BootKernel starts a kernel.
	BootKernel Action = iota
	// BootNext goes on with the firmware's next boot entry: the local disk.
	BootNext
	// Reboot and PowerOff are asked by iPXE scripts that have given up, and by GRUB's commands.
	Reboot
	PowerOff
)

// Outcome is what comes of a boot from the network.
type Outcome struct {
	Action Action
	// CommandLine is the kernel's.
	CommandLine string
	// Reason tells why the machine goes on with the next entry, reboots or switches off.
	Reason string
}

// Boot boots a machine over TFTP, or over HTTP as UEFI can. That there is no answer or no loader is not an error: firmware then
// goes on with the next boot entry. What goes wrong in a loader is one, for the machine stands there.
func (n *Network) Boot(ctx context.Context, m Machine, overHTTP bool) (Outcome, error) {
	if overHTTP && !m.UEFI {
		return Outcome{}, errors.New("a BIOS does not boot over HTTP")
	}
	b := &boot{network: n, m: m, log: m.Log, fetch: fetcher{client: n.Client, tftpPort: n.TFTPPort, from: m.Address}}
	loader, err := b.findLoader(ctx, overHTTP)
	if err != nil {
		if ctx.Err() != nil {
			return Outcome{}, ctx.Err()
		}
		return Outcome{Action: BootNext, Reason: err.Error()}, nil
	}
	return b.run(ctx, loader)
}

// boot is one boot of one machine.
type boot struct {
	network *Network
	m       Machine
	log     zerolog.Logger
	fetch   fetcher
	// nic is the interface that was answered, by its number.
	nic int
}

func (b *boot) mac() string { return b.m.MACs[b.nic] }

// findLoader does what the firmware does: it asks each interface for an answer, and fetches what the first one names.
func (b *boot) findLoader(ctx context.Context, overHTTP bool) (loaded, error) {
	err := errors.New("the machine has no network interface")
	for nic := range b.m.MACs {
		b.nic = nic
		var given answer
		if given, err = b.network.ask(request{mac: b.mac(), address: b.m.Address}); err != nil {
			b.log.Debug().Err(err).Str("mac", b.mac()).Msg("asking for DHCP options")
			continue
		}
		where, err := given.loader(overHTTP)
		if err != nil {
			return loaded{}, err
		}
		content, err := b.fetch.read(ctx, where, maxLoader)
		if err != nil {
			return loaded{}, fmt.Errorf("fetching the boot loader %s: %w", where, err)
		}
		b.log.Debug().Stringer("loader", where).Int("bytes", len(content)).Msg("the firmware has fetched its boot loader")
		return loaded{file: where, content: content}, nil
	}
	return loaded{}, err
}
