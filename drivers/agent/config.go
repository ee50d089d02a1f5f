// Package agent deploys and cleans through an agent (ironic-python-agent) that runs from a ramdisk on the node: the deploy
// interface direct, the steps that the agent itself offers, and the power interface agent.
package agent

import (
	"context"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/image"
)

// LogCollection says when an agent's logs are kept.
type LogCollection string

// The values of [agent]deploy_logs_collect.
const (
	CollectNever     LogCollection = "never"
	CollectOnFailure LogCollection = "on_failure"
	CollectAlways    LogCollection = "always"
)

// Config holds every option of the agent interfaces. DefaultConfig gives what ironic takes when ironic.conf is silent.
type Config struct {
	// CleanDHCP takes back what the node's machine was told by DHCP, once nothing is to be booted any more. Nil does nothing.
	CleanDHCP func(context.Context, *drivers.Task) error

	// APIURL is ironic-api's address as nodes reach it, without a slash at the end; the ramdisk gets it as ipa-api-url.
	APIURL string
	// VerifyCA is [agent]verify_ca: a boolean as text, or the path of a CA bundle or a directory of certificates. It counts
	// for agents that did not bring their own certificate.
	VerifyCA string

	// CommandTimeout bounds one request to an agent.
	CommandTimeout time.Duration
	// CommandAttempts is how often a command is sent to an agent that cannot be reached.
	CommandAttempts int
	// WaitAttempts and WaitInterval say how long a command that runs is polled.
	WaitAttempts int
	WaitInterval time.Duration

	// TokenOnReads sends the node's token with every look at an agent's commands. An agent that has seen it there once asks
	// every reader for it from then on, and conductors of releases before 29.0 never send it: beside them it is sent only to
	// agents that ask.
	TokenOnReads bool

	// NotesBoot keeps in driver_internal_info that an agent was about to boot, as releases after 2025.2 do.
	NotesBoot bool
	// ManageBoot is [agent]manage_agent_boot: false leaves the booting of the ramdisk to somebody else.
	ManageBoot bool
	// DownloadSource is [agent]image_download_source for nodes that do not say: http or local.
	DownloadSource string
	// ImageCredentials go to an agent that fetches its image from a server that they are for.
	ImageCredentials image.Credentials
	// StreamRawImages and ForceRawImages are ironic's options of these names: an image that this worker serves is converted
	// to raw when both are set, and an agent writes raw images without a stop in memory.
	StreamRawImages bool
	ForceRawImages  bool
	// ReservedMemory is what the agent needs beside an image that it keeps in memory, in MiB ([agent]memory_consumed_by_agent).
	ReservedMemory int64
	// EphemeralFormat is [pxe]default_ephemeral_format.
	EphemeralFormat string
	// BootMode is [deploy]default_boot_mode.
	BootMode string

	// PowerOffRetries and PowerOffInterval say how long an agent may take to switch its node off before the BMC does it.
	PowerOffRetries  int
	PowerOffInterval time.Duration

	// FastTrack allows using an agent that runs already, when its last heartbeat is younger than FastTrackTimeout.
	FastTrack        bool
	FastTrackTimeout time.Duration
	// RebootPause is how long a node gets to go down after the agent power interface asked for a reboot.
	RebootPause time.Duration

	// CreateRAIDPriority and DeleteRAIDPriority override what the agent proposes for the clean steps of the raid interface agent:
	// nil keeps it, 0 disables the step.
	CreateRAIDPriority, DeleteRAIDPriority *int

	Logs  LogsConfig
	Erase EraseConfig
}

// LogsConfig says whether and where an agent's logs are kept.
type LogsConfig struct {
	Collect LogCollection
	// Dir is [agent]deploy_logs_local_path.
	Dir string
}

// EraseConfig is how agents erase disks: the [deploy] options that they read from driver_internal_info.
type EraseConfig struct {
	Iterations           int
	Zeroize              bool
	ContinueIfSecureFail bool
	NVMeSecure           bool
	ATASecure            bool
	Concurrency          int
	SkipReadOnly         bool
	// DevicesPriority and MetadataPriority override what the agent proposes for its clean steps erase_devices and
	// erase_devices_metadata: nil keeps it, 0 disables the step.
	DevicesPriority, MetadataPriority *int
}

// DefaultConfig returns ironic's defaults. APIURL has none.
func DefaultConfig() Config {
	return Config{
		VerifyCA:         "True",
		CommandTimeout:   time.Minute,
		CommandAttempts:  3,
		WaitAttempts:     100,
		WaitInterval:     6 * time.Second,
		ManageBoot:       true,
		DownloadSource:   "http",
		StreamRawImages:  true,
		ForceRawImages:   true,
		EphemeralFormat:  "ext4",
		BootMode:         "uefi",
		PowerOffRetries:  6,
		PowerOffInterval: 5 * time.Second,
		FastTrackTimeout: 5 * time.Minute,
		RebootPause:      30 * time.Second,
		Logs:             LogsConfig{Collect: CollectOnFailure, Dir: "/var/log/ironic/deploy"},
		Erase:            EraseConfig{Iterations: 1, Zeroize: true, NVMeSecure: true, ATASecure: true, Concurrency: 4},
	}
}
