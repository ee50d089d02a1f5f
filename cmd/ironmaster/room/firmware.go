package room

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room/netboot"
)

// selfTest is how long a machine takes at least until it tries again what its boot loader wants tried again.
const selfTest = time.Second

// bootNetwork boots from the network: a ramdisk, or the disk when there is nothing else, or a loader says so.
func (m *Machine) bootNetwork(ctx context.Context, plan BootPlan) error {
	outcome, err := m.room.network.Boot(ctx, m.onNetwork(ctx, plan), plan.Source == SourceHTTP)
	if err != nil {
		return fmt.Errorf("booting from the network: %w", err)
	}
	if outcome.Action != netboot.BootKernel {
		m.log.Info().Str("reason", outcome.Reason).Msg("the network gives the machine nothing to boot")
	}
	switch outcome.Action {
	case netboot.BootNext:
		m.bootDisk(ctx, plan, outcome.Reason)
		return nil
	case netboot.Reboot:
		m.change(func(s *state) { s.booted, s.bootError = BootFailed, outcome.Reason })
		if !pause(ctx, selfTest) {
			return ctx.Err()
		}
		return m.requestFrom(ctx, powerCycle)
	case netboot.PowerOff:
		return m.requestFrom(ctx, powerOff)
	}
	m.log.Debug().Str("parameters", outcome.CommandLine).Msg("the network boots a kernel")
	return m.bootKernel(ctx, parameters(strings.Fields(outcome.CommandLine)))
}

// onNetwork is the machine as the network sees it.
func (m *Machine) onNetwork(ctx context.Context, plan BootPlan) netboot.Machine {
	return netboot.Machine{
		MACs: m.info.MACs, UUID: m.uuid, Address: m.address(), UEFI: plan.Mode == ModeUEFI,
		DiskID: m.disk.identifier, Log: m.log,
		DiskBoots: func() (bool, error) { return m.disk.bootable(ctx, plan.Mode) == nil, ctx.Err() },
	}
}

// address is what DHCP gives to the machine: one of its own when the room is on the loopback network, else the host's.
func (m *Machine) address() string {
	mac, err := net.ParseMAC(m.info.MACs[0])
	if err != nil || !m.room.place.ip.IsLoopback() {
		return m.room.place.ip.String()
	}
	return net.IPv4(127, 1+mac[2]%254, mac[3], mac[4]).String()
}
