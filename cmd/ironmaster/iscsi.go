package main

import (
	"path/filepath"

	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/drivers/agent"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/drivers/iscsi"
)

// openISCSI makes the deploy interface iscsi. Its images always come through this worker.
func openISCSI(cfg agent.Config, s *config.Settings, depot *image.Depot) (*iscsi.Deploy, error) {
	cfg.DownloadSource = "local"
	images := agent.NewDepot(depot)
	return iscsi.Open(iscsiConfig(s), agent.New(cfg, image.Patient{Service: depot.Service}, images), images, depot.Service)
}

func iscsiConfig(s *config.Settings) iscsi.Config {
	c := iscsi.DefaultConfig()
	c.PortalPort, c.ConvFlags, c.VerifyAttempts = s.ISCSI.PortalPort, s.ISCSI.ConvFlags, s.ISCSI.VerifyAttempts
	c.Stall, c.ScratchDir = s.Ironmaster.ISCSIStallLimit, filepath.Join(s.PXE.ImagesPath, ".iscsi")
	c.Convert, c.ForceRaw = imageConfig(s).Convert, s.Default.ForceRawImages
	c.EphemeralFormat, c.BootMode = s.PXE.DefaultEphemeralFormat, s.Deploy.DefaultBootMode
	c.ESP = s.DiskUtils.EFISystemPartitionSize
	return c
}
