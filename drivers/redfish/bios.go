package redfish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// BIOSSettings is where the settings that users see are kept: the table bios_settings.
type BIOSSettings interface {
	// ReplaceRegisteredBIOSSettings makes the stored settings of a node, by name, those given and no others.
	ReplaceRegisteredBIOSSettings(ctx context.Context, nodeID int64, settings []store.BIOSSetting) error
}

// BIOS is the bios interface redfish.
type BIOS struct {
	base
	settings BIOSSettings
}

// NewBIOS returns the bios interface redfish.
func NewBIOS(c *Client, settings BIOSSettings) *BIOS { return &BIOS{base{c.Plain()}, settings} }

// Validate checks driver_info.
func (b *BIOS) Validate(_ context.Context, t *drivers.Task) error { return b.bmcs.Validate(t.Node) }

// biosResource is a Bios resource.
type biosResource struct {
	path     string
	Registry string         `json:"AttributeRegistry"`
	Values   map[string]any `json:"-"`
	Settings struct {
		Object rawLink  `json:"SettingsObject"`
		Times  []string `json:"SupportedApplyTimes"`
	} `json:"@Redfish.Settings"`
	Actions struct {
		Reset struct {
			Target string `json:"target"`
		} `json:"#Bios.ResetBios"`
	}
}

// bios reads the firmware's settings. Its error is *missing when the system shows none.
func (s *system) bios() (*biosResource, error) {
	at, err := linked(s.ODataID, s.RawData, "Bios")
	if err != nil {
		return nil, err
	}
	f := &biosResource{path: at}
	var text json.RawMessage
	if err := s.Read(at, &text); err != nil {
		return nil, err
	}
	var attributes struct{ Attributes map[string]any }
	numbers := json.NewDecoder(bytes.NewReader(text))
	numbers.UseNumber()
	if err := errors.Join(json.Unmarshal(text, f), numbers.Decode(&attributes)); err != nil {
		return nil, &notRedfish{http.MethodGet, at, err.Error()}
	}
	f.Values = attributes.Attributes
	return f, nil
}

// CacheSettings records the firmware's settings, with what its registry says of them where it can be read.
func (b *BIOS) CacheSettings(ctx context.Context, t *drivers.Task) error {
	var all []store.BIOSSetting
	err := b.on(ctx, t, "", func(s *system) error {
		f, err := s.bios()
		var none *missing
		if errors.As(err, &none) {
			return store.Errorf(store.UnsupportedDriverExtension, "Cannot fetch BIOS attributes for node %s, BIOS settings are not supported.",
				t.Node.UUID)
		}
		if err != nil {
			return err
		}
		entries, err := s.registry(f.Registry)
		if err != nil {
			t.Log.Info().Str("reason", s.session.explain(err)).Msg("The registry of the BIOS settings can't be read")
		}
		for _, name := range slices.Sorted(maps.Keys(f.Values)) {
			one := store.BIOSSetting{Name: name}
			if value := f.Values[name]; value != nil {
				text := store.PythonText(value)
				one.Value = &text
			}
			entries[name].describe(&one)
			all = append(all, one)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return b.settings.ReplaceRegisteredBIOSSettings(ctx, t.Node.ID, all)
}

// registered is an attribute in an attribute registry.
type registered struct {
	Name  string `json:"AttributeName"`
	Type  *string
	Value []struct{ ValueName, ValueDisplayName string }

	LowerBound, UpperBound *json.Number
	MinLength, MaxLength   *json.Number
	ReadOnly               *bool
	ResetRequired          *bool
	Unique                 *bool `json:"IsSystemUniqueProperty"`
}

func (r *registered) describe(b *store.BIOSSetting) {
	if r == nil {
		return
	}
	b.Type, b.ReadOnly, b.ResetRequired, b.Unique = r.Type, r.ReadOnly, r.ResetRequired, r.Unique
	b.LowerBound, b.UpperBound = column(r.LowerBound), column(r.UpperBound)
	b.MinLength, b.MaxLength = column(r.MinLength), column(r.MaxLength)
	for _, v := range r.Value {
		if v.ValueName == "" {
			v.ValueName = v.ValueDisplayName
		}
		if v.ValueName != "" {
			b.AllowableValues = append(b.AllowableValues, v.ValueName)
		}
	}
}

// column is a number as its column takes it, nil for one that does not fit.
func column(n *json.Number) *int64 {
	if n == nil {
		return nil
	}
	v, err := n.Int64()
	if err != nil || v > math.MaxInt32 || v < math.MinInt32 {
		return nil
	}
	return &v
}

// registry reads the attribute registry of a name, in English.
func (s *system) registry(name string) (map[string]*registered, error) {
	if name == "" {
		return nil, nil
	}
	collection, err := s.service("Registries")
	if err != nil {
		return nil, err
	}
	files, err := s.members(collection)
	if err != nil {
		return nil, err
	}
	// The file's own name tells mostly which it is; some services have dozens.
	slices.SortStableFunc(files, func(a, b string) int { return likeness(name, b) - likeness(name, a) })
	for _, one := range files {
		var file struct {
			Registry string
			ID       string `json:"Id"`
			Location []struct{ Language, URI string }
		}
		if err := s.Read(one, &file); err != nil {
			return nil, err
		}
		if file.Registry != name && file.ID != name {
			continue
		}
		for _, l := range file.Location {
			if l.URI != "" && (l.Language == "" || strings.HasPrefix(strings.ToLower(l.Language), "en")) {
				return s.readRegistry(l.URI)
			}
		}
	}
	return nil, fmt.Errorf("the service has no registry %s in English", name)
}

func likeness(name, file string) int {
	if base := path.Base(file); strings.HasPrefix(name, base) || strings.HasPrefix(base, name) {
		return 1
	}
	return 0
}

func (s *system) readRegistry(at string) (map[string]*registered, error) {
	var all struct {
		RegistryEntries struct{ Attributes []*registered }
	}
	if err := s.Read(at, &all); err != nil {
		return nil, err
	}
	entries := map[string]*registered{}
	for _, one := range all.RegistryEntries.Attributes {
		if one != nil && entries[one.Name] == nil {
			entries[one.Name] = one
		}
	}
	return entries, nil
}

// Steps change settings. Each restarts the machine in its middle.
func (b *BIOS) Steps(kind drivers.StepKind) []drivers.Step {
	if kind == drivers.VerifyStep {
		return nil
	}
	steps := []drivers.Step{
		{Name: "factory_reset", Run: b.begin(keyReset, resetBIOS), Resume: b.goOn(keyReset, resetBIOS)},
		{Name: "apply_configuration", Run: b.begin(keyApplied, applyBIOS), Resume: b.goOn(keyApplied, applyBIOS),
			Args: map[string]drivers.StepArg{"settings": {Description: "A list of BIOS settings to be applied", Required: true}}},
	}
	for i := range steps {
		steps[i].Interface, steps[i].RequiresRamdisk = drivers.TypeBIOS, true
	}
	if kind == drivers.ServiceStep {
		// Nobody takes the settings away from an instance that runs with them.
		return steps[1:]
	}
	return steps
}

// The keys of driver_internal_info that tell which half of a step is due.
const (
	keyApplied   = "post_config_reboot_requested"
	keyReset     = "post_factory_reset_reboot_requested"
	keyRequested = "requested_bios_attrs"
)

// begin is the first half of a step: it has the BMC note a change, and reboots.
//
// Crash windows: a change that the BMC has noted and the row does not know is noted once more, which does no harm. One that the row
// knows is followed by a reboot, again if need be.
func (b *BIOS) begin(key string, change func(*system, *biosResource, store.Dict) (map[string]any, error)) func(context.Context,
	*drivers.Task, store.Dict) (drivers.Outcome, error) {
	return func(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
		if t.Node.DriverInternalInfo.Bool(key, false) {
			return b.secondHalf(ctx, t)
		}
		var wanted map[string]any
		err := b.on(ctx, t, "", func(s *system) error {
			f, err := s.biosToChange()
			if err == nil {
				wanted, err = change(s, f, args)
			}
			return err
		})
		if err != nil {
			return drivers.Done, err
		}
		// gofail: var biosChanged struct{}
		info := t.Node.DriverInternalInfo
		if info[key] = true; wanted != nil {
			info[keyRequested] = wanted
		}
		drivers.AsyncStep{}.Note(t.Node)
		if err := t.Worker.Save(ctx, t); err != nil {
			return drivers.Done, err
		}
		// gofail: var biosNoted struct{}
		if err := drivers.RebootToFinish(ctx, t); err != nil {
			return drivers.Done, err
		}
		return drivers.Waiting, b.CacheSettings(ctx, t)
	}
}

// goOn is what a step does when it may have begun before: as it does anyway when the machine is back from its reboot.
func (b *BIOS) goOn(key string, change func(*system, *biosResource, store.Dict) (map[string]any, error)) func(context.Context,
	*drivers.Task, store.Dict) (drivers.Outcome, error) {
	first := b.begin(key, change)
	return func(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
		if t.Node.DriverInternalInfo.Bool(key, false) && drivers.RebootDue(t.Node) {
			// Nobody knows whether the machine was rebooted.
			return drivers.Waiting, drivers.RebootToFinish(ctx, t)
		}
		return first(ctx, t, args)
	}
}

func (s *system) biosToChange() (*biosResource, error) {
	f, err := s.bios()
	var none *missing
	if errors.As(err, &none) {
		return nil, redfishError("Redfish BIOS factory reset failed for node %s, because BIOS settings are not supported.", s.task.Node.UUID)
	}
	return f, err
}

func resetBIOS(s *system, f *biosResource, _ store.Dict) (map[string]any, error) {
	preface := fmt.Sprintf("Redfish BIOS factory reset failed for node %s. Error: ", s.task.Node.UUID)
	if f.Actions.Reset.Target == "" {
		return nil, redfishError("%sThe action #Bios.ResetBios is missing from the resource %s", preface, f.path)
	}
	if _, err := s.Act(f.Actions.Reset.Target, struct{}{}); err != nil {
		return nil, s.told(err, preface)
	}
	return nil, nil
}

func applyBIOS(s *system, f *biosResource, args store.Dict) (map[string]any, error) {
	wanted := map[string]any{}
	for _, item := range args.List("settings") {
		one := store.Dict{"setting": item}.Dict("setting")
		if one.String("name") == "" {
			return nil, store.Errorf(store.InvalidParameterValue, "settings: every item needs a name and a value")
		}
		wanted[one.String("name")] = one["value"]
	}
	payload := map[string]any{"Attributes": wanted}
	if slices.Contains(f.Settings.Times, "OnReset") {
		payload["@Redfish.SettingsApplyTime"] = preferredApplyTime("OnReset")
	}
	at := f.Settings.Object.Path
	if at == "" {
		at = f.path
	}
	if err := s.Change(at, payload); err != nil {
		return nil, s.told(err, fmt.Sprintf("Redfish BIOS apply configuration failed for node %s. Error: ", s.task.Node.UUID))
	}
	return wanted, nil
}

// secondHalf looks what became of a change.
func (b *BIOS) secondHalf(ctx context.Context, t *drivers.Task) (drivers.Outcome, error) {
	info := t.Node.DriverInternalInfo
	wanted := info.Dict(keyRequested)
	missed := map[string]any{}
	err := b.on(ctx, t, "", func(s *system) error {
		f, err := s.biosToChange()
		if err != nil {
			return err
		}
		for name, value := range wanted {
			if now, has := f.Values[name]; !has || !reflect.DeepEqual(now, value) {
				missed[name] = value
			}
		}
		return nil
	})
	if err != nil {
		return drivers.Done, err
	}
	// The flow writes this with its next step: until then the step is where it is.
	for _, k := range []string{keyApplied, keyReset, keyRequested} {
		delete(info, k)
	}
	if len(missed) > 0 {
		return drivers.Done, &drivers.StepFailure{Text: "Redfish BIOS apply_configuration step failed. Attributes " +
			store.PythonRepr(missed) + " are not updated."}
	}
	return drivers.Done, b.CacheSettings(ctx, t)
}

var _ drivers.BIOS = (*BIOS)(nil)
