package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
	"github.com/ironmaster/ironmaster/cmd/ironmaster/room/qemu"
)

// roomShown is how many machines of a large room are printed; the inventory holds all.
const roomShown = 10

func newRoomCommand() *cobra.Command {
	var (
		cfg       room.Config
		size      = byteSize(10 << 30)
		speed     byteSize
		inventory string
		verbose   bool
		machines  qemu.Config
	)
	cmd := &cobra.Command{
		Use:   "room --count N --dir DIR --inventory FILE",
		Short: "Simulate a machine room: Redfish BMCs and deploy agents",
		Long: `Simulate a machine room: Redfish BMCs over HTTPS, and deploy agents that boot from the virtual media
which a conductor inserts or from the network, look themselves up in ironic-api, and write images onto disk files.

Machines that boot from the network are answered as dnsmasq would, out of the files that a conductor with [dhcp]dhcp_provider
= dnsmasq writes. They fetch what the answer names over TFTP and HTTP, and do what PXELINUX, GRUB (with shim) and iPXE would: a
loader's configuration that these would not understand is an error in the room's log, and the machine stands still.

With --qemu the machines behind the BMCs are QEMU's (Debian's qemu-system-x86 and ovmf), which boot for real, by UEFI or BIOS:
what they run is up to the images. Their serial consoles are written to DIR/qemu/MACHINE/console.log.

The room stays open until SIGTERM or Ctrl-C. The inventory holds for each machine what an operator would know: address,
user, password, system id, MAC addresses. Faults strike with a probability between 0 and 1; the same seed gives the same
machines and the same faults.`,
		Example: `  ironmaster room --count 3 --dir /tmp/room --inventory /tmp/room/inventory.json
  ironmaster room --count 300 --dir /tmp/room --inventory room.json --fault-silent 0.01 --quirk-patch-media 0.5
  ironmaster room --count 1 --dir /tmp/room --inventory room.json --qemu kvm --qemu-bridge br0 --memory-mb 2048`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.IntVar(&cfg.Count, "count", 0, "how many machines stand in the room")
	flags.StringVar(&cfg.Dir, "dir", "", "`folder` for disks, certificate and downloads; disks found there are kept")
	flags.StringVar(&inventory, "inventory", "", "write the inventory, which holds passwords, to this `file`")
	flags.Uint64Var(&cfg.Seed, "seed", 0, "decides identities, passwords, quirks and faults")
	flags.StringVar(&cfg.Host, "host", "127.0.0.1", "`address` or name of this host where BMCs and agents listen and are reached")
	flags.IntVar(&cfg.BasePort, "base-port", 0, "`port` of the first BMC, the others follow; 0 takes free ports")
	flags.Var(&size, "disk-size", "size of each machine's disk; disk files are sparse")
	flags.Var(&speed, "download-rate", "how much of an image a machine takes in a second; 0 is no limit")
	flags.StringVar(&cfg.BMC, "bmc", "", "whose BMC each machine has: `vendor` hpe (iLO 5), hpe-ilo4, dell (iDRAC 9) or fujitsu (iRMC); default is one that does as the standard says")
	flags.IntVar(&cfg.MemoryMB, "memory-mb", 4096, "memory that each machine claims to have, in `MiB`")
	flags.DurationVar(&cfg.PowerDelay, "power-delay", 0, "from a power request until the power changes")
	flags.DurationVar(&cfg.BootDelay, "boot-delay", 0, "from power on until the agent starts")
	flags.StringVar(&cfg.DHCP.HostsDir, "dhcp-hostsdir", "", "`folder` of dnsmasq's hosts ([dnsmasq]dhcp_hostsdir), which decides who may boot from the network")
	flags.StringVar(&cfg.DHCP.OptsDir, "dhcp-optsdir", "", "`folder` of dnsmasq's options ([dnsmasq]dhcp_optsdir)")
	flags.StringVar(&cfg.DHCP.LeaseFile, "dhcp-leasefile", "", "note leases in this `file` ([dnsmasq]dhcp_leasefile)")
	flags.IntVar(&cfg.TFTPPort, "tftp-port", 0, "`port` of TFTP servers (default 69)")
	flags.BoolVar(&verbose, "debug", false, "log everything that the machines do")
	flags.StringVar(&machines.Accel, "qemu", "", "real virtual machines, run by `kvm` or emulated by tcg")
	flags.StringVar(&machines.Bridge, "qemu-bridge", "", "`bridge` that the virtual machines are plugged into (default: each has "+
		"a user network of its own)")
	addFaultFlags(flags, &cfg.Faults)
	addQuirkFlags(flags, &cfg.Quirks)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if cfg.Count == 0 || cfg.Dir == "" || inventory == "" {
			return errors.New("a room needs --count, --dir and --inventory")
		}
		if machines.Accel != "" && (cfg.DHCP.HostsDir != "" || cfg.TFTPPort != 0) {
			return errors.New("--dhcp-hostsdir and --tftp-port are not for the machines of --qemu, whose network brings its own DHCP")
		}
		if machines.Bridge != "" && machines.Accel == "" {
			return errors.New("--qemu-bridge is for the machines of --qemu")
		}
		cfg.DiskSize, cfg.DownloadRate, cfg.Log = int64(size), int64(speed), roomLog(verbose)
		if machines.Accel != "" {
			machines.Dir, machines.Log = filepath.Join(cfg.Dir, "qemu"), cfg.Log
			cfg.NICs = 1
			cfg.Computer = func(info room.Info) (room.Computer, error) { return qemu.New(machines, info) }
		}
		return runRoom(cmd.Context(), cfg, inventory, cmd.OutOrStdout())
	}
	return cmd
}

func addFaultFlags(flags *pflag.FlagSet, f *room.Faults) {
	flags.Float64Var(&f.Slow, "fault-slow", 0, "`probability` that an answer of a BMC is late by --fault-slow-by")
	flags.DurationVar(&f.SlowBy, "fault-slow-by", 0, "how late slow answers are (default 2s)")
	flags.Float64Var(&f.Silent, "fault-silent", 0, "`probability` that a BMC never answers a request")
	flags.Float64Var(&f.ServerError, "fault-server-error", 0, "`probability` that a BMC answers 503")
	flags.Float64Var(&f.Garbage, "fault-garbage", 0, "`probability` that a BMC answers with a web page")
	flags.Float64Var(&f.DropSession, "fault-drop-session", 0, "`probability` that a BMC has forgotten its sessions")
	flags.Float64Var(&f.StuckPower, "fault-stuck-power", 0, "`probability` that a power request has no effect")
	flags.Float64Var(&f.WrongPassword, "fault-wrong-password", 0, "`probability` that a machine's password is not the inventory's")
	flags.Float64Var(&f.CommandFailure, "fault-command-failure", 0, "`probability` that a command of an agent fails")
	flags.Float64Var(&f.NoISCSI, "fault-no-iscsi", 0, "1 leaves the extension iscsi out of the agents")
	flags.Float64Var(&f.LostISCSI, "fault-lost-iscsi", 0, "`probability` that an agent does not expose the disk that it says it does")
	flags.Float64Var(&f.NoHeartbeat, "fault-no-heartbeat", 0, "`probability` that an agent that started keeps quiet")
}

func addQuirkFlags(flags *pflag.FlagSet, q *room.Quirks) {
	flags.Float64Var(&q.PatchMedia, "quirk-patch-media", 0, "`share` of BMCs that change virtual media by PATCH")
	flags.Float64Var(&q.SystemMedia, "quirk-system-media", 0, "`share` of BMCs with virtual media under the System")
	flags.Float64Var(&q.BasicOnly, "quirk-basic-only", 0, "`share` of BMCs that make no sessions")
	flags.Float64Var(&q.RequireETag, "quirk-require-etag", 0, "`share` of BMCs that want If-Match with a PATCH")
}

func roomLog(verbose bool) zerolog.Logger {
	level := zerolog.WarnLevel
	if verbose {
		level = zerolog.DebugLevel
	}
	out := zerolog.ConsoleWriter{Out: os.Stderr, NoColor: true, TimeFormat: "2006-01-02 15:04:05.000"}
	return zerolog.New(out).Level(level).With().Timestamp().Logger()
}

// runRoom keeps a room open until ctx ends.
func runRoom(ctx context.Context, cfg room.Config, inventory string, out io.Writer) error {
	r, err := room.Open(ctx, cfg)
	if err != nil {
		return err
	}
	if err := r.WriteInventory(inventory); err != nil {
		return errors.Join(err, r.Close())
	}
	if err := printRoom(out, r.Machines(), inventory); err != nil {
		return errors.Join(err, r.Close())
	}
	<-ctx.Done()
	return r.Close()
}

func printRoom(out io.Writer, machines []*room.Machine, inventory string) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "MACHINE\tBMC\tMAC\tDISK")
	for _, m := range machines[:min(len(machines), roomShown)] {
		i := m.Info()
		fmt.Fprintf(table, "%s\t%s\t%s\t%s %s\n", i.Name, i.Address, i.MACs[0], byteSize(i.DiskSize), i.Disk)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if more := len(machines) - roomShown; more > 0 {
		fmt.Fprintf(out, "and %d more\n", more)
	}
	_, err := fmt.Fprintf(out, "%s ready, passwords and all else in %s\n",
		plural(len(machines), "machine is", "machines are"), inventory)
	return err
}
