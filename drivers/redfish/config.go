// Package redfish drives machines through the Redfish service of their BMC (DMTF DSP0266): power, boot device, boot mode,
// secure boot, indicators, and booting a ramdisk from virtual media. One logged-in session per BMC serves all of it.
package redfish

import (
	"time"

	"github.com/ironmaster/ironmaster/store"
)

// Config says how BMCs are spoken to. DefaultConfig gives what ironic takes when ironic.conf is silent.
type Config struct {
	// BootsHTTP offers the boot device uefihttp, as ironic does since 2024.1.
	BootsHTTP bool
	// NamesVolumes gives volumes the names that users chose, as ironic does since 29.0, and FullSizeByController leaves it to the RAID
	// controller how large a volume of all the space is, as ironic 39.0 does.
	NamesVolumes, FullSizeByController bool
	// VendorOfRoot has who made the service be the machine's vendor, where it tells, as ironic 39.0 does.
	VendorOfRoot bool
	// POSTAttempts is how often a boot device is set that the BMC refuses while its machine is in its power-on self-test, POSTDelay the
	// shortest pause in between ([redfish]post_boot_retry_attempts, post_boot_retry_delay). Up to 1 sets it once.
	POSTAttempts int
	POSTDelay    time.Duration
	// ConflictRetries is how often a machine is switched on again whose BMC says that this is in conflict with something else, as some do for
	// a while after a power off, ConflictInterval the pause in between ([redfish]power_on_conflict_retry_attempts,
	// power_on_conflict_retry_interval).
	ConflictRetries  int
	ConflictInterval time.Duration
	// ForgivesRefusals takes a power change that the BMC refuses for done when its machine is there already, as ironic does since 29.0.
	ForgivesRefusals bool
	// RestartPause is how long a machine that was told to restart is given to go off before its state is looked at.
	RestartPause time.Duration
	// Clock says which steps set the clocks of BMCs.
	Clock ClockConfig
	// BIOS says how BIOS settings are changed.
	BIOS BIOSConfig
	// Sensors says which sensors are read.
	Sensors SensorScope
	// Updates says how firmware is updated; without its Files it is not.
	Updates UpdateConfig
	// ConnectionAttempts is how often a BMC that cannot be reached is tried, RetryInterval the pause in between
	// ([redfish]connection_attempts, connection_retry_interval).
	ConnectionAttempts int
	RetryInterval      time.Duration
	// CacheSize is how many sessions stay logged in while nobody uses them; 0 keeps none ([redfish]connection_cache_size).
	CacheSize int
	// ConnectTimeout bounds reaching a BMC, ReadTimeout one answer.
	ConnectTimeout, ReadTimeout time.Duration
	// ProbePause is how long a silent BMC is left alone by work that nobody waits for; it grows with the silence, up to
	// LongestProbePause.
	ProbePause, LongestProbePause time.Duration
	// LogoutTimeout bounds ending one session.
	LogoutTimeout time.Duration
	// AuthType is basic, session or auto, for nodes that do not say ([redfish]auth_type).
	AuthType string
	// VerifyCA counts for nodes that say nothing about redfish_verify_ca.
	VerifyCA Verify
	// ChoosesTLS lets nodes say which TLS their BMCs speak, as ironic 39.0 does; TLS counts for those that say nothing.
	ChoosesTLS bool
	TLS        Dialect

	// PowerTimeout is how long a power change may take ([conductor]power_state_change_timeout). The state is read after
	// PowerPoll for the first time and then less and less often.
	PowerTimeout, PowerPoll time.Duration
	// InsertAttempts and InsertInterval say how often an image is inserted into a BMC that is still busy ejecting.
	InsertAttempts int
	InsertInterval time.Duration
	// TaskTimeout is how long a BMC may take for what it does at once and yet goes on with after its answer; it is looked at TaskPoll
	// apart.
	TaskTimeout, TaskPoll time.Duration
}

// DefaultConfig returns the defaults of ironic's options, and Ironmaster's own where ironic has none.
func DefaultConfig() Config {
	return Config{
		ConnectionAttempts: 5,
		RetryInterval:      4 * time.Second,
		CacheSize:          1000,
		ConnectTimeout:     30 * time.Second,
		ReadTimeout:        time.Minute,
		// The longest is [conductor]sync_power_state_interval by default: a BMC that is back is found by the next power sync.
		ProbePause:        5 * time.Second,
		LongestProbePause: time.Minute,
		LogoutTimeout:     5 * time.Second,
		AuthType:          authAuto,
		PowerTimeout:      time.Minute,
		PowerPoll:         500 * time.Millisecond,
		InsertAttempts:    3,
		InsertInterval:    3 * time.Second,
		TaskTimeout:       500 * time.Second,
		TaskPoll:          time.Second,
	}
}

// Verify says how a BMC's certificate is checked. The zero value trusts the system's certificate authorities.
type Verify struct {
	// Off accepts any certificate.
	Off bool
	// Path is a PEM bundle, or a directory of PEM files, to trust instead of the system's.
	Path string
}

// The values of redfish_auth_type.
const (
	authBasic   = "basic"
	authSession = "session"
	authAuto    = "auto"
)

// bootDevices are the boot devices that Redfish and ironic both know, in ironic's order.
var bootDevices = []bootDevice{
	{store.BootDevicePXE, "Pxe"},
	{store.BootDeviceDisk, "Hdd"},
	{store.BootDeviceCDROM, "Cd"},
	{store.BootDeviceBIOS, "BiosSetup"},
	{store.BootDeviceUEFIHTTP, "UefiHttp"},
}

type bootDevice struct{ name, target string }
