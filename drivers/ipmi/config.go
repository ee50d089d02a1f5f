// Package ipmi drives machines through the IPMI of their BMC (Intel's IPMI 2.0 specification, rev. 1.1): power, boot device,
// sensors, the serial console and raw commands, as ironic's ipmitool interfaces do.
package ipmi

import "time"

// Config says how BMCs are spoken to. DefaultConfig gives what ironic takes when ironic.conf is silent.
type Config struct {
	// Transport is TransportAuto or TransportIpmitool ([ironmaster]ipmi_transport).
	Transport string
	// RetryTimeout is how long one command is tried ([ipmi]command_retry_timeout), Interval the least time between two commands
	// to one BMC ([ipmi]min_command_interval). Tries bounds how often it is sent meanwhile; 0 stands for as often as fits.
	RetryTimeout, Interval time.Duration
	Tries                  int
	// ToolRetries leaves the tries to ipmitool ([ipmi]use_ipmitool_retries); then only known passing failures and those that
	// RetryableErrors name are tried anew here ([ipmi]additional_retryable_ipmi_errors).
	ToolRetries     bool
	RetryableErrors []string
	// KillOnTimeout ends an ipmitool that runs longer than RetryTimeout.
	KillOnTimeout bool
	// DisableBootTimeout counts for nodes that say nothing about ipmi_disable_boot_timeout.
	DisableBootTimeout bool
	// CipherSuites are tried from the last to the first when a BMC refuses the usual ones ([ipmi]cipher_suite_versions).
	CipherSuites []string
	// Verbose makes ipmitool tell more ([ipmi]debug). PasswordInEnv hands it passwords in its environment ([ipmi]store_cred_in_env).
	Verbose, PasswordInEnv bool

	// ProbePause is how long a silent BMC is left alone by work that nobody waits for; it grows with the silence, up to
	// LongestProbePause.
	ProbePause, LongestProbePause time.Duration

	// PowerTimeout and SoftPowerOffTimeout are how long power changes may take ([conductor]power_state_change_timeout and
	// soft_power_off_timeout). The state is read after PowerPoll for the first time and then less and less often. ResetPause
	// is how long a machine that was reset is given to go down.
	PowerTimeout, SoftPowerOffTimeout, PowerPoll, ResetPause time.Duration
	// BootMode is [deploy]default_boot_mode.
	BootMode string

	Console ConsoleConfig
	// CheckAddress refuses an address that is neither an IP nor a host name, as the newest release does. RawStep offers send_raw
	// as a step, and ConsoleTakesOver ends another session when a user asks for the console: both since 29.0.
	CheckAddress, RawStep, ConsoleTakesOver bool
}

// The transports.
const (
	// TransportAuto speaks IPMI itself where it can, and leaves the rest to ipmitool.
	TransportAuto = "auto"
	// TransportIpmitool runs ipmitool for everything.
	TransportIpmitool = "ipmitool"
)

// ConsoleConfig is [console].
type ConsoleConfig struct {
	// PIDDir holds the pid files of consoles, TempDir their password files.
	PIDDir, TempDir string
	// Idle ends a user's connection; 0 never.
	Idle time.Duration
	// StartTimeout is how long a console may take to start, looked at each CheckInterval; KillTimeout how long it may take to end.
	StartTimeout, CheckInterval, KillTimeout time.Duration
	// Address is where socat listens, WebAddress the one of this host at which users reach Shell In A Box, which listens on all. Nodes
	// without a port of their own are given one of Ports.
	Address, WebAddress string
	Ports               []PortRange
	// Terminal is Shell In A Box's program. CertDir holds its certificates; it speaks plain HTTP without one.
	Terminal, CertDir string
	// Host is this conductor's name, for the error of a range that is used up.
	Host string
}

// PortRange is a range of ports from First up to, and without, Stop.
type PortRange struct{ First, Stop int }

// DefaultConfig returns the defaults of ironic's options, and Ironmaster's own where ironic has none.
func DefaultConfig() Config {
	return Config{
		Transport:          TransportAuto,
		RetryTimeout:       time.Minute,
		Interval:           5 * time.Second,
		KillOnTimeout:      true,
		DisableBootTimeout: true,
		// As with Redfish: a BMC that is back is found by the next power sync.
		ProbePause:          5 * time.Second,
		LongestProbePause:   time.Minute,
		PowerTimeout:        time.Minute,
		SoftPowerOffTimeout: 10 * time.Minute,
		PowerPoll:           time.Second,
		ResetPause:          15 * time.Second,
		BootMode:            "bios",
		Console: ConsoleConfig{TempDir: "/tmp", Idle: 10 * time.Minute, StartTimeout: 10 * time.Second, CheckInterval: time.Second,
			KillTimeout: time.Second, Address: "127.0.0.1", WebAddress: "127.0.0.1", Terminal: "shellinaboxd"},
	}
}
