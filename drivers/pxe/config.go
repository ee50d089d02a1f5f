package pxe

import (
	"context"
	"io/fs"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/dhcp"
	"github.com/ironmaster/ironmaster/drivers/image"
)

// Config holds the options of booting from the network.
type Config struct {
	// TFTPServer is the address that machines load from ([pxe]tftp_server), IPv6Server the one of those that boot over IPv6
	// ([DEFAULT]my_ipv6; "" is TFTPServer).
	TFTPServer, IPv6Server string
	// TFTPRoot and HTTPRoot are the folders that are served ([pxe]tftp_root, [deploy]http_root), HTTPURL is how machines reach
	// the second one ([deploy]http_url).
	TFTPRoot, HTTPRoot, HTTPURL string
	// Subdir is the folder below the roots that holds links by MAC address ([pxe]pxe_config_subdir).
	Subdir string
	// DirMode and FileMode are [pxe]dir_permission and file_permission; 0 leaves them to the umask.
	DirMode, FileMode fs.FileMode

	// Loaders and IPXELoaders are the boot files that DHCP names.
	Loaders, IPXELoaders BootFiles
	// LoaderFiles are copied into the roots: name there to file here ([pxe]loader_file_paths).
	LoaderFiles map[string]string

	Templates TemplateConfig
	Kickstart KickstartConfig

	// Images are for nodes whose driver_info names none ([conductor]deploy_kernel and so on); ImagesByArch win over them.
	Images       Images
	ImagesByArch map[string]Images
	// KernelAppendParams is [pxe]kernel_append_params.
	KernelAppendParams string
	// DefaultBootMode is [deploy]default_boot_mode.
	DefaultBootMode string
	// Debug makes agents log everything.
	Debug bool
	// IPXETimeout bounds one download by iPXE; 0 does not ([pxe]ipxe_timeout).
	IPXETimeout time.Duration
	// Fallback keeps a configuration that boots the local disk for machines that try the network first anyway
	// ([pxe]enable_netboot_fallback).
	Fallback bool

	// What differs between releases of ironic.

	// AllPorts links ports that are not to boot from the network too.
	AllPorts bool
	// PathPrefix adds DHCP option 210 to pxe.
	PathPrefix bool
	// ShortBootFiles refuses boot files of more than the 64 characters that Neutron takes.
	ShortBootFiles bool
	// LoadersByArchAndMode takes keys such as x86_64-uefi in BootFiles.ByArch.
	LoadersByArchAndMode bool
}

// BootFiles are names of boot loaders.
type BootFiles struct {
	BIOS, UEFI string
	// ByArch win over these, by properties.cpu_arch.
	ByArch map[string]string
}

// Images are the hrefs of what a ramdisk is booted from.
type Images struct {
	DeployKernel, DeployRamdisk string
	RescueKernel, RescueRamdisk string
}

// DHCP is who answers the machines' DHCP requests; package dhcp has some.
type DHCP interface {
	// Update makes the node's machine get these options at its next request.
	Update(ctx context.Context, t *drivers.Task, options []dhcp.Option) error
	// Addresses returns the IP addresses of the node's ports that are known.
	Addresses(ctx context.Context, t *drivers.Task) ([]string, error)
	// TagsIPXE tells that options may depend on whether iPXE asks.
	TagsIPXE() bool
}

// Files makes kernels and ramdisks ready on this host.
type Files interface {
	// Fetch returns a file with the content of an image, on the file system of the roots, for one node under one name. It is not
	// written to, and stays until Release.
	Fetch(ctx context.Context, t *drivers.Task, ref image.Ref, name string) (path string, err error)
	// Release lets go of a node's file.
	Release(t *drivers.Task, name string) error
}
