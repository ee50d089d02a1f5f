package main

import (
	"context"
	"path/filepath"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/drivers/redfish"
)

// firmwareFiles is redfish.FirmwareFiles over the image server.
type firmwareFiles struct{ media *image.Media }

func openFirmwareFiles(s *config.Settings, depot *image.Depot, log zerolog.Logger) (redfish.FirmwareFiles, error) {
	media, err := image.OpenMedia(filepath.Join(s.Deploy.ISOMasterPath, "ironmaster-firmware"), depot.Service, depot.Server, log)
	return firmwareFiles{media}, err
}

// Stage serves a file. Its name is told apart from those of boot ISOs and attached images of the node.
func (f firmwareFiles) Stage(ctx context.Context, node, name, href string, check func(file string) error) (string, error) {
	return f.media.PublishChecked(ctx, node, "firmware-"+name, href, check)
}

func (f firmwareFiles) Withdraw(node string) error { return f.media.WithdrawAll(node) }
