package redfish

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// keyBootDevice holds, in driver_internal_info, the boot device that the BMC cannot keep by itself. It is set again before
// every start.
const keyBootDevice = "redfish_boot_device"

// SupportedBootDevices are those that Redfish and ironic both know.
func (m *Management) SupportedBootDevices(context.Context, *drivers.Task) ([]string, error) {
	var names []string
	for _, d := range bootDevices {
		if d.name != store.BootDeviceUEFIHTTP || m.bmcs.client.cfg.BootsHTTP {
			names = append(names, d.name)
		}
	}
	return names, nil
}

// BootDevice reads the boot override. A target that ironic has no word for is "".
func (m *Management) BootDevice(ctx context.Context, t *drivers.Task) (device drivers.BootDevice, err error) {
	err = m.on(ctx, t, "", func(s *system) error {
		for _, d := range bootDevices {
			if string(s.Boot.BootSourceOverrideTarget) == d.target {
				device.Device = d.name
			}
		}
		persistent := s.Boot.BootSourceOverrideEnabled == schemas.ContinuousBootSourceOverrideEnabled
		if persistent || s.Boot.BootSourceOverrideEnabled == schemas.OnceBootSourceOverrideEnabled {
			device.Persistent = &persistent
		}
		return nil
	})
	return device, err
}

// SetBootDevice sets what the machine boots from, once or for good.
func (m *Management) SetBootDevice(ctx context.Context, t *drivers.Task, device string, persistent bool) error {
	return m.on(ctx, t, "", func(s *system) error {
		// As with ironic, a BMC that cannot be reached is the first that is told.
		source, known := bootSource(device)
		if !known || device == store.BootDeviceUEFIHTTP && !m.bmcs.client.cfg.BootsHTTP {
			return store.Errorf(store.InvalidParameterValue, "Invalid boot device %s specified.", device)
		}
		url := t.Node.DriverInternalInfo.String(keyBootURL)
		// Whoever knows it may fetch the ISO, and the agent's token with it.
		s.Hide(url)
		if err := forgetBootDevice(ctx, t); err != nil {
			return err
		}
		if err := s.setBootDevice(source, device, url, persistent); err != nil {
			return s.told(err, fmt.Sprintf("Redfish set boot device failed for node %s. Error: ", t.Node.UUID))
		}
		// Setting the boot device makes these BMCs forget the boot mode.
		if s.supermicro() {
			return drivers.SyncBootMode(ctx, t, m.bootMode)
		}
		return nil
	})
}

// forgetBootDevice takes out of the node what stood there for the boot device before, and for this one.
func forgetBootDevice(ctx context.Context, t *drivers.Task) error {
	info := t.Node.DriverInternalInfo
	_, kept := info[keyBootDevice]
	if _, addressed := info[keyBootURL]; !kept && !addressed {
		return nil
	}
	delete(info, keyBootDevice)
	delete(info, keyBootURL)
	return t.Worker.Save(ctx, t)
}

func bootSource(device string) (schemas.BootSource, bool) {
	for _, d := range bootDevices {
		if d.name == device {
			return schemas.BootSource(d.target), true
		}
	}
	return "", false
}

func (s *system) vendor() string { return strings.ToLower(s.task.Node.Properties.String("vendor")) }

func (s *system) supermicro() bool { return s.vendor() == "supermicro" }

// wantsWholeBoot tells that a BMC refuses a boot override that leaves anything out.
func (s *system) wantsWholeBoot() bool {
	for _, name := range []string{"american megatrends international", "asrockrack", "ami"} {
		if strings.Contains(s.vendor(), name) {
			return true
		}
	}
	return false
}

// setBootDevice sends what differs. Most BMCs refuse a BootSourceOverrideEnabled that is set already, Supermicro's want it
// every time. Continuous has been taken out of the schema; where it is refused, Once is used and renewed at every start. url is where
// UefiHttp boots from, "" for what DHCP says.
func (s *system) setBootDevice(source schemas.BootSource, device, url string, persistent bool) error {
	// Supermicro's boards show virtual media as a USB drive, and boot nothing from their Cd.
	if strings.EqualFold(s.Manufacturer, "supermicro") && source == schemas.CdBootSource && slices.Contains(s.Boot.AllowableBootSourceOverrideTargetValues, "UsbCd") {
		source = "UsbCd"
	}
	if allowed := s.Boot.AllowableBootSourceOverrideTargetValues; source == schemas.UefiHTTPBootSource && len(allowed) > 0 &&
		!slices.Contains(allowed, source) {
		// Whoever wants to boot over HTTP may try the network in general then.
		return store.Errorf(store.InvalidParameterValue, "Invalid boot device %s specified: the BMC allows the boot targets %v.",
			device, allowed)
	}
	if allowed := s.Boot.AllowableBootSourceOverrideTargetValues; len(allowed) > 0 && !slices.Contains(allowed, source) {
		return fmt.Errorf("the BMC allows the boot targets %v, and not %s", allowed, source)
	}
	enabled := schemas.OnceBootSourceOverrideEnabled
	if persistent {
		enabled = schemas.ContinuousBootSourceOverrideEnabled
	}
	boot := schemas.Boot{BootSourceOverrideTarget: source}
	if source == schemas.UefiHTTPBootSource {
		boot.HTTPBootURI = url
	}
	if s.session.cfg.BootsHTTP && s.Boot.HTTPBootURI != "" && boot.HTTPBootURI == "" {
		s.forgetBootURL()
	}
	if s.supermicro() || s.wantsWholeBoot() || s.Boot.BootSourceOverrideEnabled != enabled {
		boot.BootSourceOverrideEnabled = enabled
	}
	if s.wantsWholeBoot() {
		boot.BootSourceOverrideMode = s.Boot.BootSourceOverrideMode
		if boot.BootSourceOverrideMode == "" {
			boot.BootSourceOverrideMode = schemas.UEFIBootSourceOverrideMode
		}
	}
	err := s.setBootAfterPOST(&boot)
	if err == nil || boot.BootSourceOverrideEnabled != schemas.ContinuousBootSourceOverrideEnabled || statusOf(err) == 0 {
		return err
	}
	s.task.Log.Warn().Str("device", device).Str("reason", s.Explain(err)).
		Msg("the BMC does not keep a boot device; it is set before every start instead")
	boot.BootSourceOverrideEnabled = schemas.OnceBootSourceOverrideEnabled
	if err := s.setBoot(&boot); err != nil {
		return err
	}
	if s.task.Node.DriverInternalInfo == nil {
		s.task.Node.DriverInternalInfo = store.Dict{}
	}
	s.task.Node.DriverInternalInfo[keyBootDevice] = device
	return s.task.Worker.Save(s.ctx, s.task)
}

// setBootAfterPOST is setBoot for machines that may be in their power-on self-test, when some BMCs take no boot device.
func (s *system) setBootAfterPOST(boot *schemas.Boot) error {
	const growth, most = 2, 6
	delay := s.session.cfg.POSTDelay
	for attempt, pause := 1, time.Second; ; attempt, pause = attempt+1, pause*growth {
		err := s.setBoot(boot)
		if attempt >= s.session.cfg.POSTAttempts || statusOf(err) != http.StatusBadRequest || !says(err, "UnableToModifyDuringSystemPOST") {
			return err
		}
		s.task.Log.Warn().Int("attempt", attempt).Msg("the BMC takes no boot device during the machine's self-test; it is set again later")
		if err := drivers.Pause(s.ctx, min(max(pause, delay), most*delay)); err != nil {
			return err
		}
	}
}

// forgetBootURL has the BMC forget where its machine was to boot from by HTTP. With any other boot device nobody asks for it.
func (s *system) forgetBootURL() {
	if err := patch(s, map[string]any{"Boot": map[string]any{"HttpBootUri": nil}}); err != nil {
		s.task.Log.Warn().Str("reason", s.Explain(err)).Msg("the BMC does not forget the URL that its machine booted from")
	}
}

// restoreBootDevice sets the device that the BMC could not keep. When that fails the machine's own boot order has to do.
func (s *system) restoreBootDevice() {
	device := strings.ToLower(s.task.Node.DriverInternalInfo.String(keyBootDevice))
	if device == "" || s.task.Hardware == nil {
		return
	}
	if _, keeps := s.task.Hardware.Management.(interface{ keepsBootDevice() }); !keeps {
		return
	}
	// Old workers wrote the words of their Redfish library.
	switch device {
	case "hdd":
		device = store.BootDeviceDisk
	case "cd":
		device = store.BootDeviceCDROM
	case "bios setup":
		device = store.BootDeviceBIOS
	}
	source, known := bootSource(device)
	if !known {
		s.task.Log.Error().Str("device", device).Msg("driver_internal_info names an unknown redfish_boot_device")
		return
	}
	if err := s.setBootDevice(source, device, s.Boot.HTTPBootURI, false); err != nil {
		s.task.Log.Warn().Str("device", device).Str("reason", s.Explain(err)).
			Msg("the boot device could not be set again; the machine's own boot order decides")
	}
}

// keepsBootDevice marks the management interface redfish, and those of vendors that have it inside.
func (*Management) keepsBootDevice() {}
