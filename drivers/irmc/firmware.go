package irmc

import (
	"context"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// keyFirmware holds, in driver_internal_info, what kind of iRMC a node has and its firmware's version, with a slash between.
const keyFirmware = "irmc_fw_version"

// noteFirmware asks the iRMC for both, and writes them into the node where they have changed.
func noteFirmware(ctx context.Context, t *drivers.Task, b *redfish.BMCs, operation string) error {
	version := ""
	err := b.Do(ctx, t, operation, func(s *redfish.System) error {
		managers, err := s.Managers()
		for _, one := range managers {
			if one.ManagerType == schemas.BMCManagerType {
				version = one.Model + "/" + one.FirmwareVersion
			}
		}
		return err
	})
	if err != nil || t.Node.DriverInternalInfo.String(keyFirmware) == version {
		return err
	}
	if t.Node.DriverInternalInfo == nil {
		t.Node.DriverInternalInfo = store.Dict{}
	}
	t.Node.DriverInternalInfo[keyFirmware] = version
	return t.Worker.Save(ctx, t)
}
