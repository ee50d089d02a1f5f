package idrac

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/bootiso"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// VirtualMedia is the boot interface idrac-redfish-virtual-media: like redfish-virtual-media, but that the boot override of the standard
// means a machine's own CD drive on an iDRAC, and the virtual one is chosen by Dell's import of settings.
type VirtualMedia struct{ *redfish.VirtualMedia }

// NewVirtualMedia returns the boot interface idrac-redfish-virtual-media.
func NewVirtualMedia(c *redfish.Client, cfg Config, media redfish.VirtualMediaConfig, isos *bootiso.Builder,
	publisher redfish.Publisher) *VirtualMedia {
	media.Vendor, media.Name = "redfish", "Redfish virtual media"
	m := &machine{Standard: redfish.NewStandard(c.Plain(), media.DefaultBootMode), bmcs: c.Plain(), cfg: cfg}
	return &VirtualMedia{redfish.NewMedia(m, media, isos, publisher)}
}

// machine is redfish.Machine for Dell's.
type machine struct {
	*redfish.Standard
	bmcs *redfish.BMCs
	cfg  Config
}

// Load inserts the ISO and has the machine boot from the virtual drive.
func (m *machine) Load(ctx context.Context, t *drivers.Task, url string, persistent bool) error {
	if err := m.Insert(ctx, t, url); err != nil {
		return err
	}
	if err := t.Hardware.Management.Validate(ctx, t); err != nil {
		return err
	}
	always := persistent || t.Node.DriverInfo.String("force_persistent_boot_device") == "Always"
	lacking := false
	err := m.bmcs.Do(ctx, t, "set virtual boot device", func(s *redfish.System) error {
		return onManagers(s, t, "set virtual boot device", func(manager *schemas.Manager) error {
			target, err := managerAction(manager, importAction)
			if lacking = err != nil; lacking {
				return nil
			}
			return m.chooseVirtualDrive(ctx, s, target, manager.ID, always)
		})
	})
	if err == nil && lacking {
		// iDRAC 10 has the virtual drive in the standard's boot override.
		return drivers.SetBootDevice(ctx, t, store.BootDeviceCDROM, persistent)
	}
	return err
}

// importAction is the action by which settings are imported.
const importAction = "OemManager.ImportSystemConfiguration"

// bootOnce is an import of settings. White space in it would make the import fail.
const bootOnce = `<SystemConfiguration><Component FQDD="%s"><Attribute Name="ServerBoot.1#BootOnce">%s</Attribute>` +
	`<Attribute Name="ServerBoot.1#FirstBootDevice">VCD-DVD</Attribute></Component></SystemConfiguration>`

// What an iDRAC says when it takes no import at the moment.
const (
	jobRunning    = "RAC0679"
	configPending = "LC068"
)

// chooseVirtualDrive imports the setting, again while another job runs. Settings that wait for a restart are let take effect by one, as
// sushy-oem-idrac does.
func (m *machine) chooseVirtualDrive(ctx context.Context, s *redfish.System, target, manager string, persistent bool) error {
	once := "Enabled"
	if persistent {
		once = "Disabled"
	}
	payload := map[string]any{"ShareParameters": map[string]string{"Target": "ALL"},
		"ImportBuffer": fmt.Sprintf(bootOnce, manager, once)}
	restarted := false
	for attempt := 1; ; attempt++ {
		location, err := s.Act(target, payload)
		if err == nil {
			return m.finish(ctx, s, location)
		}
		said := s.Explain(err)
		pending := strings.Contains(said, configPending)
		switch {
		case attempt > m.cfg.Attempts || !pending && !strings.Contains(said, jobRunning):
			return err
		case pending && !restarted:
			restarted = true
			if err := m.restart(s); err != nil {
				return err
			}
			continue
		}
		if err := drivers.Pause(ctx, m.cfg.Interval); err != nil {
			return err
		}
	}
}

// restart switches a machine that is off on and off again, for settings take effect on the way.
func (m *machine) restart(s *redfish.System) error {
	for _, change := range []struct {
		kind  schemas.ResetType
		state string
	}{{schemas.OnResetType, store.PowerOn}, {schemas.ForceOffResetType, store.PowerOff}} {
		if s.Power() == change.state {
			continue
		}
		if err := s.ResetTo(change.kind); err != nil {
			return err
		}
		reached, err := s.Await(m.cfg.TaskTimeout, m.cfg.TaskPoll, func() bool { return s.Power() == change.state })
		if err == nil && !reached {
			err = fmt.Errorf("the machine did not go to %s", change.state)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// finish waits for the end of the import.
func (m *machine) finish(ctx context.Context, s *redfish.System, location string) error {
	if location == "" {
		return nil
	}
	for deadline := time.Now().Add(m.cfg.TaskTimeout); ; {
		var task struct {
			TaskState, TaskStatus string
			Messages              []struct{ Message string }
		}
		if err := s.Read(location, &task); err != nil {
			return err
		}
		switch task.TaskState {
		case "Completed":
			if task.TaskStatus == "" || task.TaskStatus == "OK" {
				return nil
			}
			fallthrough
		case "Exception", "Killed", "Cancelled", "Interrupted":
			said := []string{"the import of settings ended in " + task.TaskState}
			for _, message := range task.Messages {
				said = append(said, message.Message)
			}
			return errors.New(strings.Join(said, ": "))
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the import of settings took longer than %s", m.cfg.TaskTimeout)
		}
		if err := drivers.Pause(ctx, m.cfg.TaskPoll); err != nil {
			return err
		}
	}
}

var _ drivers.Boot = (*VirtualMedia)(nil)
