package ilo

import (
	"context"
	"crypto/md5" //nolint:gosec // what ironic has users give checksums of
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// stepFlash is the step by which an iLO updates firmware, one file after the other.
const stepFlash = "update_firmware"

// keyFlash holds in driver_internal_info the files that are left, the one under way first, and what is known of that one.
const keyFlash = "ironmaster_ilo_firmware"

// flashComponents are what an iLO updates.
var flashComponents = []string{"ilo", "cpld", "power_pic", "bios", "chassis"}

// rawFirmware are the extensions of files that an iLO takes as they are.
var rawFirmware = []string{".hex", ".bin", ".vme", ".flash", ".fwpkg"}

// The states of an update (HpeiLOUpdateServiceExt).
var flashing = []string{"Uploading", "Verifying", "Writing", "Updating"}

const (
	flashComplete = "Complete"
	flashError    = "Error"
)

// flash is a running update. Before is the state before the iLO was asked, Asked tells that it was, Moved that it was seen at work.
type flash struct {
	URLs         []string
	Before       string
	Asked, Moved bool
	Since        time.Time
}

func readFlash(n *store.Node) flash {
	info := n.DriverInternalInfo.Dict(keyFlash)
	f := flash{Before: info.String("before"), Asked: info.Bool("asked", false), Moved: info.Bool("moved", false)}
	for _, item := range info.List("urls") {
		if text, ok := item.(string); ok {
			f.URLs = append(f.URLs, text)
		}
	}
	// A time that cannot be read is one long ago.
	f.Since, _ = time.Parse(time.RFC3339, info.String("since"))
	return f
}

func (f flash) keep(n *store.Node) {
	n.DriverInternalInfo[keyFlash] = map[string]any{"urls": asAny(f.URLs), "before": f.Before, "asked": f.Asked, "moved": f.Moved,
		"since": f.Since.UTC().Format(time.RFC3339)}
}

// flashArgs are the arguments of the step.
var flashArgs = map[string]drivers.StepArg{
	"firmware_update_mode": {Required: true, Description: "This argument indicates the mode (or mechanism) of firmware update procedure. " +
		"Supported value is 'ilo'."},
	"firmware_images": {Required: true, Description: "This argument represents the ordered list of JSON dictionaries of firmware images. Each " +
		"firmware image dictionary consists of three mandatory fields, namely 'url', 'checksum' and 'component'. These fields represent firmware " +
		"image location URL, md5 checksum of image file and firmware component type respectively. The supported firmware URL schemes are 'file', " +
		"'http', 'https' and 'swift'. The supported values for firmware component are 'ilo', 'cpld', 'power_pic', 'bios' and 'chassis'. The " +
		"firmware images will be applied (in the order given) one by one on the baremetal server. For more information, see " +
		"https://docs.openstack.org/ironic/latest/admin/drivers/ilo.html#initiating-firmware-update-as-manual-clean-step"},
}

func (m *Management) flashStep() drivers.Step {
	return drivers.Step{Interface: drivers.TypeManagement, Name: stepFlash, RequiresRamdisk: true, Args: flashArgs, Run: m.flash,
		Resume: m.resumeFlash}
}

// flash fetches and checks all files, and has the iLO update the first.
func (m *Management) flash(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	if mode := args.String("firmware_update_mode"); mode != "ilo" {
		return drivers.Done, store.Errorf(store.InvalidParameterValue, "Invalid firmware update mode '%s' provided for node: %s. 'ilo' is the only "+
			"supported firmware update mode.", mode, t.Node.UUID)
	}
	images := args.List("firmware_images")
	if len(images) == 0 {
		return drivers.Done, store.Errorf(store.InvalidParameterValue, "Firmware images cannot be an empty list or None.")
	}
	var f flash
	for i, item := range images {
		where, err := m.stageFirmware(ctx, t, i, store.Dict{"image": item}.Dict("image"))
		if err != nil {
			return drivers.Done, m.withdrawFirmware(t, stopped(t, err))
		}
		f.URLs = append(f.URLs, where)
	}
	if err := m.askToFlash(ctx, t, f); err != nil {
		return drivers.Done, m.withdrawFirmware(t, err)
	}
	drivers.NotePolling(t.Node, false)
	return drivers.Waiting, t.Worker.Save(ctx, t)
}

// resumeFlash goes on with what the row knows of; pollFlash finds out whether the iLO was asked.
func (m *Management) resumeFlash(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	if !m.flashes(t.Node) {
		return m.flash(ctx, t, args)
	}
	drivers.NotePolling(t.Node, false)
	return drivers.Waiting, t.Worker.Save(ctx, t)
}

// stopped is how a step ends whose files are not fit, as ironic words it.
func stopped(t *drivers.Task, err error) error {
	if store.KindOf(err) == "" {
		return err
	}
	if len(t.Node.CleanStep) > 0 {
		return store.Errorf(store.NodeCleaningFailure, "Failed to clean node %s: %w", t.Node.UUID, err)
	}
	return store.Errorf(store.InstanceDeployFailure, "Failed to deploy instance: %w", err)
}

// stageFirmware has the worker serve a file of the user's, and returns the URL at which the iLO finds it.
func (m *Management) stageFirmware(ctx context.Context, t *drivers.Task, at int, image store.Dict) (string, error) {
	href, wanted, err := checkFirmwareImage(image, "component")
	if err != nil {
		return "", err
	}
	component := strings.ToLower(image.String("component"))
	if !slices.Contains(flashComponents, component) {
		return "", store.Errorf(store.InvalidParameterValue, "Component '%s' for firmware update is not supported in 'ilo' based firmware update. "+
			"Supported values are: %s", component, strings.Join(flashComponents, ", "))
	}
	where, err := url.Parse(href)
	if err != nil || !slices.Contains([]string{"http", "https", "file"}, where.Scheme) {
		return "", store.Errorf(store.InvalidParameterValue, "This method does not support URL scheme %s. Invalid URL %s. The supported firmware "+
			`URL schemes are "file", "http" and "https"`, schemeOf(href), shownURL(href))
	}
	name := path.Base(where.Path)
	if !slices.Contains(rawFirmware, strings.ToLower(path.Ext(name))) {
		return "", operationFailed("Firmware file extracting as part of manual cleaning", "Unexpected compact firmware file type: "+name)
	}
	files := m.bmcs.FirmwareFiles()
	if files == nil {
		return "", errors.New("this worker serves no firmware")
	}
	return files.Stage(ctx, t.Node.UUID, fmt.Sprintf("%d-%s", at, name), href, func(file string) error { return checkMD5(file, href, wanted) })
}

// checkFirmwareImage checks that an image, or the arguments of a step, name a file and its checksum.
func checkFirmwareImage(image store.Dict, further ...string) (href, checksum string, err error) {
	var missing []string
	for _, field := range append([]string{"url", "checksum"}, further...) {
		if image.String(field) == "" {
			missing = append(missing, field)
		}
	}
	if len(missing) > 0 {
		shown := image.Clone()
		if href := image.String("url"); href != "" {
			shown["url"] = shownURL(href)
		}
		return "", "", store.Errorf(store.MissingParameterValue, "Firmware image info: %s is missing the required %s field/s.",
			store.PythonRepr(map[string]any(shown)), strings.Join(missing, ", "))
	}
	return image.String("url"), image.String("checksum"), nil
}

func schemeOf(href string) string {
	scheme, _, found := strings.Cut(href, ":")
	if !found {
		return ""
	}
	return strings.ToLower(scheme)
}

// shownURL is a URL as errors may show it.
func shownURL(href string) string {
	where, err := url.Parse(href)
	if err != nil {
		return "***"
	}
	return where.Redacted()
}

func checkMD5(file, href, wanted string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("reading a firmware file: %w", err)
	}
	defer f.Close()
	sum := md5.New() //nolint:gosec // as above
	if _, err := io.Copy(sum, f); err != nil {
		return fmt.Errorf("reading a firmware file: %w", err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != wanted {
		return store.Errorf(store.ImageRefValidationFailed, "Validation of image href %s failed, reason: Error verifying image checksum. Image %s "+
			"failed to verify against checksum %s. Actual checksum is: %s", shownURL(href), shownURL(href), wanted, got)
	}
	return nil
}

// flashService is the update service of an iLO.
type flashService struct {
	Actions map[string]struct {
		Target string `json:"target"`
	}
	OEM struct{ Hpe, Hp *struct{ State string } } `json:"Oem"`
}

const flashAt = "/redfish/v1/UpdateService/"

func readFlashService(s *redfish.System) (service flashService, state string, err error) {
	err = s.Read(flashAt, &service)
	for _, oem := range []*struct{ State string }{service.OEM.Hpe, service.OEM.Hp} {
		if oem != nil {
			state = oem.State
		}
	}
	return service, state, err
}

// askToFlash has the iLO update the first of the files.
//
// Crash window: the state before is saved before the iLO is asked. Who finds it without the mark that the iLO was asked compares (pollFlash).
func (m *Management) askToFlash(ctx context.Context, t *drivers.Task, f flash) error {
	return m.carryOut(ctx, t, stepFlash, func(s *redfish.System) error {
		service, state, err := readFlashService(s)
		if err != nil {
			return err
		}
		target := service.Actions["#UpdateService.SimpleUpdate"].Target
		if target == "" {
			return reason("The attribute #UpdateService.SimpleUpdate is missing from the resource " + flashAt)
		}
		f = flash{URLs: f.URLs, Before: state, Since: time.Now()}
		f.keep(t.Node)
		if err := t.Worker.Save(ctx, t); err != nil {
			return err
		}
		if _, err := s.Act(target, map[string]string{"ImageURI": f.URLs[0]}); err != nil {
			return err
		}
		f.Asked = true
		f.keep(t.Node)
		return t.Worker.Save(ctx, t)
	})
}

func (m *Management) flashes(n *store.Node) bool { return len(n.DriverInternalInfo.Dict(keyFlash)) > 0 }

// UnderWay tells whether the iLO updates firmware.
func (m *Management) UnderWay(n *store.Node) bool { return m.flashes(n) }

// Poll looks how the update under way stands, and asks for the next one when it has ended. An iLO that restarts for it is asked again later.
func (m *Management) Poll(ctx context.Context, t *drivers.Task) (bool, error) {
	f := readFlash(t.Node)
	state := ""
	err := m.bmcs.Do(ctx, t, stepFlash, func(s *redfish.System) (err error) {
		_, state, err = readFlashService(s)
		return err
	})
	if err != nil {
		return false, err
	}
	active := slices.Contains(flashing, state)
	switch {
	case !f.Asked && !active && state == f.Before:
		return false, m.flashBroken(t, m.askToFlash(ctx, t, f))
	case active && f.Moved:
		return false, nil
	case active:
		f.Asked, f.Moved = true, true
		f.keep(t.Node)
		return false, t.Worker.Save(ctx, t)
	case state == flashError && (f.Moved || state != f.Before):
		return false, m.flashBroken(t, stepFailed(t, stepFlash, operationFailed(stepFlash, "Unable to update firmware")))
	case !f.Moved && (state != flashComplete || state == f.Before):
		// It may not have begun yet.
		if time.Since(f.Since) < m.cfg.FlashTimeout {
			return false, nil
		}
		return false, m.flashBroken(t, stepFailed(t, stepFlash, operationFailed(stepFlash, "iLO firmware update has failed.")))
	}
	if f.URLs = f.URLs[min(1, len(f.URLs)):]; len(f.URLs) > 0 {
		return false, m.flashBroken(t, m.askToFlash(ctx, t, f))
	}
	return true, m.withdrawFirmware(t, nil)
}

// flashBroken makes what an iLO refuses the end of the flow.
func (m *Management) flashBroken(t *drivers.Task, err error) error {
	if kind := store.KindOf(err); kind != store.NodeCleaningFailure && kind != store.InstanceDeployFailure {
		return err
	}
	return m.withdrawFirmware(t, &drivers.StepFailure{Text: err.Error()})
}

// withdrawFirmware forgets an update that is over, and returns err. The caller saves the node.
func (m *Management) withdrawFirmware(t *drivers.Task, err error) error {
	if err != nil && store.KindOf(err) == "" && !errors.As(err, new(*drivers.StepFailure)) {
		return err
	}
	delete(t.Node.DriverInternalInfo, keyFlash)
	if files := m.bmcs.FirmwareFiles(); files != nil {
		if err := files.Withdraw(t.Node.UUID); err != nil {
			t.Log.Warn().Err(err).Msg("Firmware files could not be withdrawn")
		}
	}
	return err
}

// Discard forgets the firmware that was to be updated.
func (m *Management) Discard(_ context.Context, t *drivers.Task) error {
	return m.withdrawFirmware(t, nil)
}

var _ drivers.Polled = (*Management)(nil)
