package room

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/rs/zerolog"
)

// Boot says what a machine runs.
type Boot string

const (
	// BootNothing is a machine without power, or one that is still in its power-on self test.
	BootNothing Boot = ""
	// BootAgent is a machine whose agent runs.
	BootAgent Boot = "agent"
	// BootDisk is a machine that runs what is on its disk.
	BootDisk Boot = "disk"
	// BootRamdisk is a machine whose instance is the ramdisk that it booted.
	BootRamdisk Boot = "ramdisk"
	// BootInstaller is a machine that installs itself.
	BootInstaller Boot = "installer"
	// BootFailed is a machine that has power and found nothing to boot; Snapshot.BootError says why.
	BootFailed Boot = "no boot device"
)

// Machine is one machine of the room: its BMC and the computer behind that.
type Machine struct {
	room     *Room
	info     Info
	uuid     string
	log      zerolog.Logger
	disk     disk
	bmc      *bmc
	computer Computer
	faults   *faultPlan
	traits   traits
	// changes are the power requests that the BMC accepted or the operating system made, in order.
	changes chan powerChange

	mu    sync.Mutex
	state state
	// writes are the image writes so far; mu guards them.
	writes []ImageWrite
	target exported
}

// state is what changes in a machine; Machine.mu guards it.
type state struct {
	powered   bool
	booted    Boot
	bootError string
	// starts counts how often the power came on.
	starts   int
	override bootOverride
	// virtualBoot is Once or Continuous where a vendor chooses the virtual CD drive beside the override, whose Cd is then the machine's
	// own drive: physicalCD. It is empty.
	virtualBoot string
	physicalCD  bool
	media       map[string]medium
	indicators  map[string]string

	secureBoot, secureBootCurrent bool
	bios, biosPending             map[string]any

	volumes     []volume
	changeTasks []changeTask
	// firmware are the URLs of the firmware files that were written.
	firmware []string
	// changes counts the tasks of changes for the next start, made the volumes.
	changes, made int
	// imports counts the configurations that the machine was set up by.
	imports int
	// controllerMode is that of Dell's RAID controllers, which are delivered such that they show their drives as they are.
	controllerMode string

	writes      int
	configDrive string
	// rescuePassword is the hash that opens the ramdisk which runs.
	rescuePassword string
	// begun counts the steps that agents were told to carry out, by name. unread are those since whose beginning nobody
	// has read the agent's commands, blind how often such a one was told again.
	begun  map[string]int
	unread map[string]bool
	blind  int
}

// bootOverride is the Boot property of a Redfish ComputerSystem.
type bootOverride struct {
	Target, Enabled, Mode string
}

// medium is what is in a virtual media device. An empty Image is an empty device.
type medium struct {
	Image          string
	WriteProtected bool
}

// The virtual media devices of every machine.
const (
	mediaCD     = "Cd"
	mediaFloppy = "Floppy"
)

// newState is a machine as it was delivered, with empty virtual drives of these names.
func newState(drives []string) state {
	media := map[string]medium{}
	for _, drive := range drives {
		media[drive] = medium{WriteProtected: true}
	}
	return state{
		override: bootOverride{Target: "None", Enabled: "Disabled", Mode: ModeUEFI},
		media:    media,
		indicators: map[string]string{
			indicatorSystem: "Off", indicatorChassis: "Off", indicatorDrive: "Off",
		},
		bios:           map[string]any{"ProcVirtualization": "Enabled", "QuietBoot": true},
		controllerMode: controllerHBA,
		begun:          map[string]int{}, unread: map[string]bool{},
	}
}

// Info returns the machine's entry of the inventory.
func (m *Machine) Info() Info { return m.info }

// Snapshot is a look at a machine from inside the room, for tests and the demo.
type Snapshot struct {
	Powered   bool
	Booted    Boot
	BootError string
	// Starts counts how often the power came on.
	Starts int
	// Media is the URL in the virtual CD drive, empty when there is none.
	Media string
	// Writes counts the images written completely and verified.
	Writes int
	// ConfigDriveSHA256 is the checksum of the last config drive as the instance would see it, decoded and unpacked.
	ConfigDriveSHA256 string
	// BIOS are the settings that the machine started with, Volumes the RAID types of its arrays.
	BIOS    map[string]any
	Volumes []string
	// Firmware are the URLs of the firmware files that were written.
	Firmware []string
	// Imports counts the configurations that the machine was set up by, ControllerMode is that of a RAID controller of Dell's.
	Imports        int
	ControllerMode string
	// RescuePassword is the hash of the password that opens the rescue ramdisk which runs, empty when none does.
	RescuePassword string
	// Begun counts the steps that the machine's agents were told to carry out, by name. All but those of a servicing
	// destroy data.
	Begun map[string]int
	// Blind counts the steps that an agent was told once more although nobody had read its commands since the first time, and the
	// installations that began once more although the one before had not failed.
	Blind int
}

// Snapshot returns the machine's present state.
func (m *Machine) Snapshot() Snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Snapshot{
		Powered:           m.state.powered,
		Booted:            m.state.booted,
		BootError:         m.state.bootError,
		Starts:            m.state.starts,
		Media:             m.state.media[mediaCD].Image,
		Writes:            m.state.writes,
		ConfigDriveSHA256: m.state.configDrive,
		RescuePassword:    m.state.rescuePassword,
		BIOS:              maps.Clone(m.state.bios),
		Volumes:           m.state.arrays(),
		Firmware:          slices.Clone(m.state.firmware),
		Imports:           m.state.imports,
		ControllerMode:    m.state.controllerMode,
		Begun:             maps.Clone(m.state.begun),
		Blind:             m.state.blind,
	}
}

// DiskSHA256 is the checksum, in hexadecimal, of the first n bytes of the machine's disk.
func (m *Machine) DiskSHA256(n int64) (string, error) { return m.disk.sum(n) }

// change lets do alter the state under its lock.
func (m *Machine) change(do func(*state)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	do(&m.state)
}

// tellStep counts a step that an agent is told to carry out.
func (s *state) tellStep(name string) {
	if s.unread[name] {
		s.blind++
	}
	s.begun[name]++
	s.unread[name] = true
}

// view returns a copy of the state, its maps included.
func (m *Machine) view() state {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.clone()
}

// errNoRoom says that more power requests wait than any client makes.
var errNoRoom = errors.New("too many power requests are waiting")

// request queues a power change without waiting for it.
func (m *Machine) request(change powerChange) error {
	select {
	case m.changes <- change:
		return nil
	default:
		return errNoRoom
	}
}

// requestFrom queues a power change that the machine's own operating system asks for.
func (m *Machine) requestFrom(ctx context.Context, change powerChange) error {
	select {
	case m.changes <- change:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *state) clone() state {
	c := *s
	c.media, c.indicators = maps.Clone(s.media), maps.Clone(s.indicators)
	c.bios, c.biosPending = maps.Clone(s.bios), maps.Clone(s.biosPending)
	c.volumes, c.changeTasks, c.firmware = slices.Clone(s.volumes), slices.Clone(s.changeTasks), slices.Clone(s.firmware)
	c.begun, c.unread = maps.Clone(s.begun), maps.Clone(s.unread)
	return c
}
