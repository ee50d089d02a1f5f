// Package pxe boots machines from the network: pxelinux and GRUB over TFTP (pxe) or HTTP (http), iPXE over HTTP after it
// came by TFTP (ipxe) or HTTP (http-ipxe).
//
// What machines read lies in two folders that any TFTP and HTTP server can serve, laid out as ironic lays them out. Each node
// has a folder named after its UUID with its configuration, kernel and ramdisk; links named after MAC and IP addresses lead
// there. Files appear by renaming, and everything can be written again at any time.
package pxe

import (
	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/image"
)

// Boot is one of the boot interfaces pxe, ipxe, http and http-ipxe.
type Boot struct {
	// ipxe tells that iPXE loads kernel and ramdisk, http that the first boot file comes by HTTP already.
	ipxe, http bool
	cfg        Config
	templates  *templates
	tree       tree
	// web is the tree below the HTTP root, where installers read whatever their kernel was loaded by.
	web     tree
	dhcp    DHCP
	files   Files
	sources image.Sources
}

// Interfaces are the boot interfaces of this package.
type Interfaces struct{ PXE, IPXE, HTTP, HTTPIPXE *Boot }

// New returns the boot interfaces. A template that cannot be read is an error that names its option.
func New(cfg Config, provider DHCP, files Files, sources image.Sources) (Interfaces, error) {
	templates, err := parseTemplates(cfg.Templates)
	if err != nil {
		return Interfaces{}, err
	}
	build := func(ipxe, http bool) *Boot {
		web := tree{root: cfg.HTTPRoot, subdir: cfg.Subdir, dirMode: cfg.DirMode, fileMode: cfg.FileMode}
		own := web
		if !ipxe && !http {
			own.root = cfg.TFTPRoot
		}
		return &Boot{ipxe: ipxe, http: http, cfg: cfg, templates: templates, dhcp: provider, files: files, sources: sources,
			tree: own, web: web}
	}
	return Interfaces{PXE: build(false, false), IPXE: build(true, false), HTTP: build(false, true),
		HTTPIPXE: build(true, true)}, nil
}

// SetUp puts the files into the roots that all nodes share: boot loaders, and what they read first.
func (b *Boot) SetUp() error {
	trees := []tree{b.tree}
	if !b.http {
		// The first boot file comes by TFTP even where the rest comes by HTTP, and the other way round for who likes it.
		for _, root := range []string{b.cfg.TFTPRoot, b.cfg.HTTPRoot} {
			if root != b.tree.root && root != "" {
				other := b.tree
				other.root = root
				trees = append(trees, other)
			}
		}
	}
	for _, t := range trees {
		if err := t.placeLoaders(b.cfg.LoaderFiles); err != nil {
			return err
		}
	}
	return b.placeFirst()
}

// placeFirst writes what the boot loader reads before it knows the machine: iPXE's script or GRUB's first configuration.
func (b *Boot) placeFirst() error {
	if b.ipxe {
		script, err := b.templates.bootScript(b.cfg)
		if err != nil {
			return err
		}
		return b.tree.putShared(b.templates.scriptName, script)
	}
	first, err := b.templates.firstGrub(b.tree.root, b.pathPrefix())
	if err != nil || first == "" {
		return err
	}
	return b.tree.putShared("grub/grub.cfg", first)
}

// Properties describes the driver_info keys of ironic's boot interfaces over the network.
func (*Boot) Properties() map[string]string {
	return map[string]string{
		"deploy_kernel":            "UUID (from Glance) of the deployment kernel. Required.",
		"deploy_ramdisk":           "UUID (from Glance) of the ramdisk that is mounted at boot time. Required.",
		drivers.KeyBootPersistency: drivers.DescribeBootPersistency,
		"rescue_kernel":            "UUID (from Glance) of the rescue kernel. This value is required for rescue mode.",
		"rescue_ramdisk": "UUID (from Glance) of the rescue ramdisk with agent that is used at node rescue time. This value " +
			"is required for rescue mode.",
		drivers.KeyKernelParams: drivers.DescribeKernelParams("pxe"),
	}
}

// Capabilities are those of ironic's interfaces.
func (b *Boot) Capabilities() []string {
	if b.ipxe {
		return []string{drivers.CanBootISCSI, drivers.CanBootRamdisk, drivers.CanBootIPXE}
	}
	return []string{drivers.CanBootRamdisk, drivers.CanBootPXE}
}

// Steps offers none.
func (*Boot) Steps(drivers.StepKind) []drivers.Step { return nil }

var (
	_ drivers.Boot    = (*Boot)(nil)
	_ drivers.Capable = (*Boot)(nil)

	_ drivers.BootRetrier = (*Boot)(nil)
)
