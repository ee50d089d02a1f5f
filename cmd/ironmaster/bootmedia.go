package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/bootiso"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

// ramdisks is what all ways of booting an ISO share: boot ISOs come from one builder and reach BMCs through the image server.
type ramdisks struct {
	config    redfish.VirtualMediaConfig
	isos      *bootiso.Builder
	publisher redfish.Publisher
}

func openRamdisks(s *config.Settings, release messaging.Release, depot *image.Depot, running func(context.Context, *drivers.Task) bool,
	log zerolog.Logger) (ramdisks, error) {
	isos, err := bootiso.Open(bootiso.Config{
		Dir: filepath.Join(s.Deploy.ISOMasterPath, "ironmaster"), Keep: keptTemplates, GrubConfigPath: s.Default.GrubConfigPath,
		IsolinuxBin: s.Default.IsolinuxBin, LdlinuxC32: s.Default.Ldlinux, AgentCAFile: s.Agent.APICAFile,
	}, bootFiles{image.Patient{Service: depot.Service}}, log)
	if err != nil {
		return ramdisks{}, err
	}
	c, byArch := s.Conductor, map[string]redfish.Images{}
	for _, arch := range architectures(c) {
		byArch[arch] = redfish.Images{DeployKernel: c.DeployKernelByArch[arch], DeployRamdisk: c.DeployRamdiskByArch[arch],
			RescueKernel: c.RescueKernelByArch[arch], RescueRamdisk: c.RescueRamdiskByArch[arch],
			Bootloader: c.BootloaderByArch[arch]}
	}
	return ramdisks{isos: isos, publisher: isoPublisher{depot.Server}, config: redfish.VirtualMediaConfig{
		Images: redfish.Images{DeployKernel: c.DeployKernel, DeployRamdisk: c.DeployRamdisk, RescueKernel: c.RescueKernel,
			RescueRamdisk: c.RescueRamdisk, Bootloader: firstOf(c.Bootloader, s.Default.ESPImage)},
		ImagesByArch: byArch, KernelAppendParams: s.Redfish.KernelAppendParams, DefaultBootMode: s.Deploy.DefaultBootMode,
		DownloadSource: s.Deploy.RamdiskImageDownloadSource, CallbackURL: s.Deploy.ExternalCallbackURL, Debug: s.Log.Debug,
		InspectsByDHCP: s.Inspector.ForceDHCP,
		AgentRuns:      running, Sources: image.NewSources(depot.Service, ramdiskFromImage(release)), Downloads: depot.Service,
	}}, nil
}

// keptTemplates is how many boot ISO templates stay for nodes to come; each is as large as a ramdisk.
const keptTemplates = 4

func architectures(c config.Conductor) []string {
	seen := map[string]bool{}
	var all []string
	for _, m := range []map[string]string{c.DeployKernelByArch, c.DeployRamdiskByArch, c.RescueKernelByArch,
		c.RescueRamdiskByArch, c.BootloaderByArch} {
		for arch := range m {
			if !seen[arch] {
				seen[arch] = true
				all = append(all, arch)
			}
		}
	}
	return all
}

// isoName is what a node's boot ISO is called on the image server.
const isoName = "boot.iso"

// driveName is what the config drive of an instance that runs from an ISO is called there.
const driveName = "configdrive.img"

// isoPublisher is redfish.Publisher over the image server.
type isoPublisher struct{ server *image.Server }

func (p isoPublisher) PublishISO(_ context.Context, t *drivers.Task, content redfish.Content, secret string) (
	redfish.Published, error) {
	published, err := p.server.Publish(image.Offer{Node: t.Node.UUID, Name: isoName, Open: content.Open, Token: secret})
	return redfish.Published{URL: published.URL, Secret: published.Token}, err
}

func (p isoPublisher) WithdrawISO(_ context.Context, node *store.Node) error {
	p.server.Withdraw(node.UUID, isoName)
	return nil
}

func (p isoPublisher) PublishDrive(_ context.Context, t *drivers.Task, content []byte, secret string) (redfish.Published, error) {
	published, err := p.server.Publish(image.Offer{Node: t.Node.UUID, Name: driveName, Data: content, Token: secret})
	return redfish.Published{URL: published.URL, Secret: published.Token}, err
}

func (p isoPublisher) WithdrawDrive(_ context.Context, node *store.Node) error {
	p.server.Withdraw(node.UUID, driveName)
	return nil
}

// bootFiles is bootiso.Files over the image service.
type bootFiles struct{ images image.Patient }

// Revision joins what the source tells about the file's age and content.
func (f bootFiles) Revision(ctx context.Context, href string) (string, error) {
	m, err := f.images.Show(ctx, image.Ref{Href: href})
	if err != nil {
		return "", err
	}
	if m.Checksum == "" && m.HashValue == "" && m.UpdatedAt.IsZero() {
		return "", nil
	}
	return fmt.Sprintf("%s %s %s %d", m.Checksum, m.HashValue, m.UpdatedAt.UTC(), m.Size), nil
}

func (f bootFiles) Fetch(ctx context.Context, href string, to *os.File) error {
	_, err := f.images.DownloadTo(ctx, image.Ref{Href: href}, bootFile{to}, nil)
	return err
}

// bootFile is image.Sink.
type bootFile struct{ *os.File }

func (f bootFile) Restart() error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return f.Truncate(0)
}
