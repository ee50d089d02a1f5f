// Package iscsi is the deploy interface iscsi, which ironic had until Wallaby: the ramdisk exposes the node's disk as an iSCSI
// target, and the worker writes the image onto it, over the network, with qemu-img. It needs neither root nor the kernel's
// initiator. What comes before and after the writing is that of the deploy interface direct.
package iscsi

import (
	"slices"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/drivers/image"
)

// Config holds the options of the interface.
type Config struct {
	// PortalPort is [iscsi]portal_port: where ramdisks are told to listen.
	PortalPort int
	// ConvFlags is [iscsi]conv_flags, the conv= of dd, for partition images: sparse leaves zeros out, everything else either
	// holds anyway (fsync) or means nothing here.
	ConvFlags string
	// VerifyAttempts is [iscsi]verify_attempts: how often a target that was just started is looked for, AttemptPause apart.
	VerifyAttempts int
	AttemptPause   time.Duration
	// Stall is how long a transfer may move no bytes, StallAtEnd how long the target may take to flush what was written.
	Stall, StallAtEnd time.Duration
	// ScratchDir is where file systems and samples are kept for a moment.
	ScratchDir string
	// Convert says which qemu-img runs, and its limits.
	Convert image.ConvertConfig
	// ForceRaw is [DEFAULT]force_raw_images.
	ForceRaw bool
	// EphemeralFormat is [pxe]default_ephemeral_format, BootMode [deploy]default_boot_mode.
	EphemeralFormat, BootMode string
	// ESP is [disk_utils]efi_system_partition_size in MiB.
	ESP int64
}

// DefaultConfig returns ironic's defaults.
func DefaultConfig() Config {
	return Config{PortalPort: 3260, VerifyAttempts: 3, AttemptPause: time.Second, Stall: time.Minute, StallAtEnd: 10 * time.Minute,
		Convert: image.DefaultConfig().Convert, ForceRaw: true, EphemeralFormat: "ext4", BootMode: "uefi", ESP: 200}
}

// sparse tells that zeros in a partition image need not be written.
func (c Config) sparse() bool {
	return slices.Contains(strings.FieldsFunc(c.ConvFlags, func(r rune) bool { return r == ',' || r == ' ' }), "sparse")
}
