package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/catalog"
	"github.com/ironmaster/ironmaster/drivers/dhcp"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/drivers/neutron"
	"github.com/ironmaster/ironmaster/drivers/pxe"
	"github.com/ironmaster/ironmaster/messaging"
)

// dhcpProvider is one of [dhcp]dhcp_provider.
type dhcpProvider interface {
	pxe.DHCP
	Clean(context.Context, *drivers.Task) error
	SetClientID(ctx context.Context, t *drivers.Task, vif, id string) error
}

// networkBoot is what machines boot from the network with.
type networkBoot struct {
	pxe.Interfaces
	// kernels holds kernels and ramdisks.
	kernels *image.Cache
}

// openNetworkBoot builds the boot interfaces pxe, ipxe, http and http-ipxe.
func openNetworkBoot(s *config.Settings, release messaging.Release, provider pxe.DHCP, images *image.Service, apiURL string,
	log zerolog.Logger) (*networkBoot, error) {
	if s.PXE.IPXEUseSwift {
		return nil, errors.New("[pxe]ipxe_use_swift is not supported: temporary URLs of Swift are not built yet")
	}
	kernels, err := image.OpenCacheAt(kernelCache(s), images, log)
	if err != nil {
		return nil, fmt.Errorf("[pxe]tftp_master_path: %w", err)
	}
	cfg := pxeConfig(s, release)
	cfg.Kickstart.APIURL, cfg.Kickstart.Downloads = apiURL, images
	interfaces, err := pxe.New(cfg, provider, pxe.NewCache(kernels), image.NewSources(images, ramdiskFromImage(release)))
	if err != nil {
		kernels.Close()
		return nil, err
	}
	return &networkBoot{interfaces, kernels}, nil
}

func newDHCPProvider(s *config.Settings, client *neutron.Client) (dhcpProvider, error) {
	switch s.DHCP.Provider {
	case "none":
		return dhcp.None{}, nil
	case "dnsmasq":
		d := s.Dnsmasq
		return dhcp.Dnsmasq{OptsDir: d.OptsDir, HostsDir: d.HostsDir, LeaseFile: d.LeaseFile}, nil
	case "neutron":
		return dhcp.NewNeutron(client, s.Neutron.PortSetupDelay), nil
	}
	return nil, fmt.Errorf("[dhcp]dhcp_provider = %q: must be one of neutron, dnsmasq, none", s.DHCP.Provider)
}

// kernelCache says where kernels and ramdisks are kept: on the file system of the roots, for they are linked there. Without a
// cache they are kept as long as a node boots them.
func kernelCache(s *config.Settings) image.CacheConfig {
	c := image.CacheConfig{MasterDir: s.PXE.TFTPMasterPath, Size: int64(s.PXE.ImageCacheSize) * image.MiB, TTL: s.PXE.ImageCacheTTL,
		Concurrency: s.Default.ImageDownloadConcurrency}
	if c.MasterDir == "" {
		c.MasterDir, c.Size, c.TTL = filepath.Join(s.PXE.TFTPRoot, "master_images"), 0, 0
	}
	c.ImagesDir = filepath.Join(c.MasterDir, ".ironmaster", "nodes")
	return c
}

func pxeConfig(s *config.Settings, release messaging.Release) pxe.Config {
	p, c := s.PXE, s.Conductor
	modern := release >= messaging.V2025_1
	byArch := map[string]pxe.Images{}
	for _, arch := range architectures(c) {
		byArch[arch] = pxe.Images{DeployKernel: c.DeployKernelByArch[arch], DeployRamdisk: c.DeployRamdiskByArch[arch],
			RescueKernel: c.RescueKernelByArch[arch], RescueRamdisk: c.RescueRamdiskByArch[arch]}
	}
	loaders := map[string]string{}
	for name, path := range p.LoaderFilePaths {
		loaders[name] = strings.Trim(path, `"`)
	}
	return pxe.Config{
		TFTPServer: p.TFTPServer, IPv6Server: s.Default.MyIPv6, TFTPRoot: p.TFTPRoot, HTTPRoot: s.Deploy.HTTPRoot,
		HTTPURL: strings.TrimRight(s.Deploy.HTTPURL, "/"), Subdir: p.ConfigSubdir, DirMode: fileMode(p.DirPermission),
		FileMode: fileMode(p.FilePermission),
		Loaders:  pxe.BootFiles{BIOS: p.BootfileName, UEFI: p.UEFIBootfileName, ByArch: p.BootfileNameByArch},
		IPXELoaders: pxe.BootFiles{BIOS: p.IPXEBootfileName, UEFI: p.UEFIIPXEBootfileName,
			ByArch: p.IPXEBootfileNameByArch},
		LoaderFiles: loaders, Templates: pxeTemplates(p),
		Images: pxe.Images{DeployKernel: c.DeployKernel, DeployRamdisk: c.DeployRamdisk, RescueKernel: c.RescueKernel,
			RescueRamdisk: c.RescueRamdisk},
		ImagesByArch: byArch, KernelAppendParams: p.KernelAppendParams, DefaultBootMode: s.Deploy.DefaultBootMode,
		Debug: s.Log.Debug, IPXETimeout: p.IPXETimeout, Fallback: p.NetbootFallback,
		AllPorts: s.Neutron.AddAllPorts || !modern, PathPrefix: !modern, ShortBootFiles: modern,
		LoadersByArchAndMode: release > messaging.V2025_2, Kickstart: kickstartConfig(s),
	}
}

func kickstartConfig(s *config.Settings) pxe.KickstartConfig {
	template := s.Anaconda.DefaultTemplate
	return pxe.KickstartConfig{Template: template, BuiltIn: strings.HasSuffix(template, "/ironic/drivers/modules/ks.cfg.template"),
		Insecure: s.Anaconda.InsecureHeartbeat}
}

func fileMode(m *config.FileMode) fs.FileMode {
	if m == nil {
		return 0
	}
	return fs.FileMode(*m)
}

// pxeTemplates tells templates of the operator's own from those that ironic's package has, in whose place the built-in ones
// stand.
func pxeTemplates(p config.PXE) pxe.TemplateConfig {
	own := func(path, packaged string) string {
		if strings.HasSuffix(path, "/ironic/drivers/modules/"+packaged) {
			return ""
		}
		return path
	}
	return pxe.TemplateConfig{
		BIOS: own(p.ConfigTemplate, "pxe_config.template"), UEFI: own(p.UEFIConfigTemplate, "pxe_grub_config.template"),
		IPXE: own(p.IPXEConfigTemplate, "ipxe_config.template"), ByArch: p.ConfigTemplateByArch,
		BootScript: own(p.IPXEBootScript, "boot.ipxe"), FirstGrub: own(p.InitialGrubTemplate, "initial_grub_cfg.template"),
		NoFirstGrub: p.InitialGrubTemplate == "", FallbackScript: p.IPXEFallbackScript, PerNode: p.InsecureTemplateOverride,
	}
}

// networkBootNames are the boot interfaces of a release that boot from the network.
func networkBootNames(release messaging.Release) []string {
	names := []string{"pxe", "ipxe"}
	if release >= messaging.V25_0 {
		names = append(names, "http", "http-ipxe")
	}
	if hasRetiredTypes(release) {
		names = append(names, slices.Sorted(maps.Keys(likeOf))...)
	}
	return names
}

// networkBooter is a boot interface with something to set up in the folders that machines read.
type networkBooter interface {
	drivers.Boot
	SetUp() error
}

// addNetworkBoot puts the boot interfaces over the network that are wanted into the catalog, after setting them up. When an
// operator named one and they cannot be set up, that is an error; those that only ironic's defaults name are left out, for not
// every site has the folders.
func (h *hardware) addNetworkBoot(s *config.Settings, release messaging.Release, provider pxe.DHCP, wanted catalog.List,
	apiURL string, parts *catalog.Parts) error {
	names := slices.DeleteFunc(networkBootNames(release), func(n string) bool { return !slices.Contains(wanted.Names, n) })
	if len(names) == 0 {
		return nil
	}
	netboot, err := openNetworkBoot(s, release, provider, h.depot.Service, apiURL, h.log)
	if err == nil {
		h.netboot = netboot
		err = netboot.offer(names, vendorBoots(h.redfish, s, netboot.Interfaces), parts)
	}
	if err != nil && wanted.Explicit {
		return fmt.Errorf("setting up the boot interfaces %s: %w", strings.Join(names, ", "), err)
	}
	if err != nil {
		h.log.Warn().Err(err).Msg("Boot interfaces that ironic enables by default cannot be set up and are left out: name the " +
			"wanted ones in enabled_boot_interfaces")
	}
	return nil
}

// offer sets the interfaces with these names up and puts them into the catalog: all, or on an error none.
func (n *networkBoot) offer(names []string, boots map[string]networkBooter, parts *catalog.Parts) error {
	maps.Copy(boots, map[string]networkBooter{"pxe": n.PXE, "ipxe": n.IPXE, "http": n.HTTP, "http-ipxe": n.HTTPIPXE})
	for _, name := range names {
		if err := boots[name].SetUp(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	places := map[string]*drivers.Boot{"pxe": &parts.PXE, "ipxe": &parts.IPXE, "http": &parts.HTTP,
		"http-ipxe": &parts.HTTPIPXE}
	for _, name := range names {
		if place := places[name]; place != nil {
			*place = boots[name]
			continue
		}
		vendorInterfaces(parts.Vendors).add(vendorInterfaces{drivers.TypeBoot: {name: boots[name]}})
	}
	return nil
}
