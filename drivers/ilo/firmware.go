package ilo

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// The BIOS settings that carry the boot mode, and their values.
const (
	attributeBootMode = "BootMode"
	biosUEFI          = "Uefi"
	biosLegacy        = "LegacyBios"
)

// firmware is the resource of the BIOS settings as they are, or of those for the next start. iLO 4 has the settings beside
// everything else in the resource, newer ones below Attributes.
type firmware struct {
	path       string
	attributes map[string]any
	flat       bool
	// pending is where settings for the next start are put, bootOrder and defaults what they say.
	pending, boot, defaults string
	// tls is where the certificates are that it trusts, iscsi where its volumes are, mappings which names its network cards have there.
	tls, iscsi, mappings string
	// uefiAlone tells that the machine starts in no other mode, as those of Gen11 and newer, and has no setting for it.
	uefiAlone bool
	// messages are what the BIOS said to the last change.
	messages []any
}

// noFirmware is an iLO that shows no BIOS settings, as those of Gen8 do.
type noFirmware struct{}

func (*noFirmware) Error() string { return "BIOS Settings resource not found on this system" }

// readFirmware reads the BIOS settings that the machine has started with.
func readFirmware(s *redfish.System) (*firmware, error) {
	var system struct{ Bios hpLink }
	if err := json.Unmarshal(s.RawData, &system); err != nil {
		return nil, fmt.Errorf("reading the link to the BIOS settings: %w", err)
	}
	path := system.Bios.ID
	if path == "" {
		path = readExtension(s).Links["BIOS"].path()
	}
	if path == "" {
		return nil, &noFirmware{}
	}
	return loadFirmware(s, path)
}

func loadFirmware(s *redfish.System, path string) (*firmware, error) {
	var raw map[string]any
	if err := s.Read(path, &raw); err != nil {
		if redfish.Refused(err) == http.StatusNotFound {
			return nil, &noFirmware{}
		}
		return nil, err
	}
	f := parseFirmware(raw)
	f.path, f.uefiAlone = path, slices.Equal(supportedModes(s), []string{store.BootModeUEFI})
	return f, nil
}

// parseFirmware finds settings and links in a resource of either shape. What is of another one is as if it were not there.
func parseFirmware(raw map[string]any) *firmware {
	f := &firmware{}
	var ok bool
	if f.attributes, ok = raw["Attributes"].(map[string]any); !ok {
		f.attributes, f.flat = settingsBeside(raw), true
	}
	f.pending = linkIn(raw, "@Redfish.Settings", "SettingsObject")
	f.messages, _ = dig(raw, "@Redfish.Settings", "Messages").([]any)
	if f.flat {
		f.pending = linkIn(raw, "links", "Settings")
		f.messages, _ = dig(raw, "SettingsResult", "Messages").([]any)
	}
	for name, into := range map[string]*string{"Boot": &f.boot, "BaseConfigs": &f.defaults, "TlsConfig": &f.tls, "iScsi": &f.iscsi,
		"Mappings": &f.mappings} {
		if *into = linkIn(raw, "Oem", "Hpe", "Links", name); *into == "" {
			*into = linkIn(raw, "links", name)
		}
	}
	return f
}

// notSettings are what stands beside the settings in iLO 4's resource.
var notSettings = map[string]bool{"Id": true, "Name": true, "Modified": true, "Type": true, "AttributeRegistry": true,
	"SettingsResult": true, "links": true, "Links": true, "Description": true, "Oem": true, "Actions": true,
	"AvailableActions": true}

func settingsBeside(raw map[string]any) map[string]any {
	all := maps.Clone(raw)
	maps.DeleteFunc(all, func(name string, _ any) bool { return notSettings[name] || strings.Contains(name, "@") })
	return all
}

// dig follows keys into nested objects.
func dig(value any, keys ...string) any {
	for _, key := range keys {
		object, _ := value.(map[string]any)
		value = object[key]
	}
	return value
}

// linkIn is the target of a link, in either way of writing it.
func linkIn(value any, keys ...string) string {
	link := dig(value, keys...)
	for _, key := range []string{"@odata.id", "href"} {
		if path, ok := dig(link, key).(string); ok {
			return path
		}
	}
	return ""
}

// next reads the settings for the next start. An iLO that has no such resource takes changes in the one that it has.
func (f *firmware) next(s *redfish.System) (*firmware, error) {
	if f.pending == "" {
		return f, nil
	}
	next, err := loadFirmware(s, f.pending)
	if err != nil {
		return nil, err
	}
	next.flat = f.flat
	return next, nil
}

// set puts settings for the next start.
func (f *firmware) set(s *redfish.System, settings map[string]any) error {
	path := f.pending
	if path == "" {
		path = f.path
	}
	if f.flat {
		return s.Change(path, settings)
	}
	return s.Change(path, map[string]any{"Attributes": settings})
}

// reset puts every setting to its default for the next start. Newer iLOs have an action for it in the standard; all have the
// defaults to be sent as they are.
func (f *firmware) reset(s *redfish.System) error {
	if f.defaults == "" {
		return reason("BaseConfigs resource not found. Couldn't apply the BIOS Settings.")
	}
	var base struct {
		BaseConfigs []struct {
			Default map[string]any `json:"default"`
		}
	}
	if err := s.Read(f.defaults, &base); err != nil {
		return err
	}
	for _, one := range base.BaseConfigs {
		if one.Default != nil {
			return f.set(s, one.Default)
		}
	}
	return reason("Default Settings not found in 'BaseConfigs' resource.")
}
