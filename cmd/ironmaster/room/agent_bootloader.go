package room

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/ironmaster/ironmaster/drivers/partition"
	"github.com/ironmaster/ironmaster/store"
)

// getPartitionUUIDs tells what the last write_image of this boot made.
func getPartitionUUIDs(_ context.Context, a *agent, _ params) (any, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.wrote == nil {
		return map[string]any{}, nil
	}
	return a.wrote, nil
}

// bootloaderRequest is the parameters of install_bootloader.
type bootloaderRequest struct {
	Root, ESP, PReP *string
	mode            string
}

func readBootloader(p params) (r bootloaderRequest, err error) {
	for key, into := range map[string]any{"root_uuid": &r.Root, "efi_system_part_uuid": &r.ESP, "prep_boot_part_uuid": &r.PReP,
		"target_boot_mode": &r.mode} {
		if text, given := p[key]; given {
			if err := json.Unmarshal(text, into); err != nil {
				return r, agentInvalidParams(key + " is not readable: " + err.Error())
			}
		}
	}
	return r, nil
}

// installBootloader makes the disk boot what write_image, or a conductor over iSCSI, has put there: a whole-disk image has
// brought its loader along, for a partition image one is installed. The UUIDs must be on the disk.
func installBootloader(ctx context.Context, a *agent, p params) (any, error) {
	request, err := readBootloader(p)
	if err != nil {
		return nil, err
	}
	d := a.m.disk
	id, err := d.identifier()
	switch {
	case err != nil:
		return nil, err
	case request.Root == nil || *request.Root == id:
		return nil, nil
	}
	root, err := d.find(ctx, *request.Root)
	if err == nil && root.found.Kind == "" {
		err = errors.New("mount: wrong fs type, bad option, bad superblock on " + devicePath(root.Number))
	}
	if err == nil {
		err = d.install(ctx, request, *request.Root)
	}
	if err != nil {
		return nil, newAgentError("CommandExecutionError", http.StatusInternalServerError, "Command execution failed",
			fmt.Sprintf("Installing GRUB2 boot loader to device %s failed with %s.", deviceName, err))
	}
	return nil, nil
}

func (d disk) install(ctx context.Context, request bootloaderRequest, root string) error {
	if request.PReP != nil {
		if _, err := d.find(ctx, *request.PReP); err != nil {
			return err
		}
	}
	if request.ESP != nil {
		esp, err := d.find(ctx, *request.ESP)
		if err != nil {
			return err
		}
		return d.putLoader(ctx, esp.Entry, root)
	}
	if request.mode == store.BootModeUEFI {
		return errors.New("grub-install: error: cannot find EFI directory")
	}
	table, err := d.table()
	if err != nil {
		return err
	}
	if table.Label == partition.GPT && !table.HasBIOSBoot() {
		return errors.New("grub-install: this GPT partition label contains no BIOS Boot Partition; embedding won't be possible")
	}
	return d.putBootCode()
}

// entry is a partition with what is in it.
type entry struct {
	partition.Entry
	found partition.Found
}

// uuid is what blkid and ironic-python-agent call the partition.
func (e entry) uuid() string {
	if e.found.UUID != "" {
		return e.found.UUID
	}
	return e.UUID
}

// find looks for the partition with the UUID of a file system, or of its own.
func (d disk) find(ctx context.Context, uuid string) (entry, error) {
	table, err := d.table()
	if err != nil {
		return entry{}, err
	}
	for _, e := range table.Entries {
		found, err := partition.Identify(ctx, d.path, e.Offset, e.Size)
		if err != nil {
			return entry{}, err
		}
		if uuid == found.UUID || uuid == e.UUID {
			return entry{e, found}, nil
		}
	}
	return entry{}, fmt.Errorf("error finding the disk or partition device to deploy the image onto: No partition with UUID %s "+
		"found on device %s", uuid, deviceName)
}

func devicePath(number int) string { return fmt.Sprintf("%s%d", deviceName, number) }
