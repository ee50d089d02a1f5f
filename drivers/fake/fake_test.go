package fake_test

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/fake"
	"github.com/ironmaster/ironmaster/store"
)

func task() *drivers.Task {
	return &drivers.Task{Node: &store.Node{ID: 7, Driver: "fake-hardware", UUID: "u"}}
}

func TestEverythingIsValid(t *testing.T) {
	for _, impl := range []drivers.Interface{
		fake.NewBIOS(fake.Config{}, nil), fake.NewBoot(fake.Config{}), fake.NewConsole(), fake.NewDeploy(fake.Config{}),
		fake.NewInspect(fake.Config{}), fake.NewManagement(fake.Config{}), fake.NewPower(fake.Config{}), fake.NewRAID(),
		fake.NewRescue(fake.Config{}), fake.NewStorage(), fake.NewVendor(fake.Config{}),
	} {
		if err := impl.Validate(t.Context(), task()); err != nil {
			t.Errorf("%T: %v", impl, err)
		}
	}
}

func TestPower(t *testing.T) {
	p := fake.NewPower(fake.Config{})
	x := task()
	for _, state := range []string{"power on", "power off", "soft rebooting", "soft power off"} {
		if err := p.SetPowerState(t.Context(), x, state, 0); err != nil {
			t.Errorf("setting %s: %v", state, err)
		}
		if got, err := p.PowerState(t.Context(), x); err != nil || got != state {
			t.Errorf("after %s: %s, %v", state, got, err)
		}
	}
	err := p.SetPowerState(t.Context(), x, "rebooting", 0)
	want := "set_power_state called with an invalid power state: rebooting."
	if store.KindOf(err) != store.InvalidParameterValue || err.Error() != want {
		t.Errorf("rebooting: %v, want %s", err, want)
	}
	x.Node.PowerState = "power on"
	if err := p.Reboot(t.Context(), x, 0); err != nil || x.Node.PowerState != "power on" {
		t.Errorf("reboot: %v, power %s", err, x.Node.PowerState)
	}
}

// The answers are those of wire/21.4/get_boot_device--ok.json, set_boot_device--err-bad-device.json,
// get_supported_indicators--all.json, get_indicator_state--ok.json and get_indicator_state--err-unknown.json.
func TestManagement(t *testing.T) {
	m, x := fake.NewManagement(fake.Config{}), task()
	device, err := m.BootDevice(t.Context(), x)
	if err != nil || device.Device != "pxe" || device.Persistent == nil || *device.Persistent {
		t.Errorf("boot device: %+v, %v", device, err)
	}
	if err := m.SetBootDevice(t.Context(), x, "pxe", true); err != nil {
		t.Error("setting pxe:", err)
	}
	wantInvalid(t, m.SetBootDevice(t.Context(), x, "floppy", true), "Invalid boot device floppy specified.")

	leds, err := m.SupportedIndicators(t.Context(), x, "")
	want := map[string]map[string]drivers.Indicator{
		"chassis": {"led-0": {ReadOnly: true, States: []string{"off", "on"}}},
		"system":  {"led": {ReadOnly: false, States: []string{"blinking", "off", "on"}}},
	}
	if err != nil || !reflect.DeepEqual(leds, want) {
		t.Errorf("indicators: %v, %v", leds, err)
	}
	leds, err = m.SupportedIndicators(t.Context(), x, "system")
	if err != nil || !slices.Equal(slices.Collect(maps.Keys(leds)), []string{"system"}) {
		t.Errorf("indicators of the system: %v, %v", leds, err)
	}
	if state, err := m.IndicatorState(t.Context(), x, "system", "led"); err != nil || state != "on" {
		t.Errorf("state of the LED: %s, %v", state, err)
	}
	_, err = m.IndicatorState(t.Context(), x, "system", "foo")
	wantInvalid(t, err, "Invalid indicator foo specified.")
	_, err = m.IndicatorState(t.Context(), x, "fan", "foo")
	wantInvalid(t, err, "Invalid component fan specified.")
	if err := m.SetIndicatorState(t.Context(), x, "system", "led", "on"); store.KindOf(err) != store.UnsupportedDriverExtension {
		t.Error("setting an indicator:", err)
	}
}

func wantInvalid(t *testing.T, err error, want string) {
	t.Helper()
	if store.KindOf(err) != store.InvalidParameterValue || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestDeployIsOneStep(t *testing.T) {
	d := fake.NewDeploy(fake.Config{})
	steps := d.Steps(drivers.DeployStep)
	if len(steps) != 1 || steps[0].Name != "deploy" || steps[0].Priority != 100 || steps[0].Args != nil {
		t.Fatalf("deploy steps: %+v", steps)
	}
	if outcome, err := steps[0].Run(t.Context(), task(), nil); outcome != drivers.Done || err != nil {
		t.Errorf("deploy: %v, %v", outcome, err)
	}
	if outcome, err := d.PrepareCleaning(t.Context(), task()); outcome != drivers.Done || err != nil {
		t.Errorf("prepare cleaning: %v, %v", outcome, err)
	}
	if len(d.Steps(drivers.CleanStep)) != 0 {
		t.Error("the fake deploy interface offers clean steps")
	}
}

type settings map[int64]map[string]string

func (s settings) ReplaceBIOSSettings(_ context.Context, node int64, wanted map[string]string) error {
	s[node] = wanted
	return nil
}

// The arguments are those of wire/21.4/do_node_clean--bios-steps.json.
func TestBIOSSteps(t *testing.T) {
	kept := settings{}
	byName := map[string]drivers.Step{}
	for _, s := range fake.NewBIOS(fake.Config{}, kept).Steps(drivers.CleanStep) {
		if s.Priority != 0 || s.Abortable || !s.RequiresRamdisk {
			t.Errorf("step %s: %+v", s.Name, s)
		}
		byName[s.Name] = s
	}
	args, err := store.ParseDict([]byte(`{"settings": [{"name": "ProcTurbo", "value": "Enabled"}, {"name": "NumLock", "value": "On"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := byName["apply_configuration"].Run(t.Context(), task(), args); err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"ProcTurbo": "Enabled", "NumLock": "On"}; !maps.Equal(kept[7], want) {
		t.Errorf("settings %v, want %v", kept[7], want)
	}
	if _, err := byName["cache_bios_settings"].Run(t.Context(), task(), nil); err != nil || len(kept[7]) != 2 {
		t.Errorf("caching: %v, settings %v", err, kept[7])
	}
	for bad, text := range map[string]string{
		`{"settings": [1]}`:              "'int' object is not subscriptable",
		`{"settings": [null]}`:           "'NoneType' object is not subscriptable",
		`{"settings": ["x"]}`:            "string indices must be integers, not 'str'",
		`{"settings": "x"}`:              "string indices must be integers, not 'str'",
		`{"settings": {"x": 1}}`:         "string indices must be integers, not 'str'",
		`{"settings": [[]]}`:             "list indices must be integers or slices, not str",
		`{"settings": null}`:             "'NoneType' object is not iterable",
		`{"settings": 1.5}`:              "'float' object is not iterable",
		`{"settings": true}`:             "'bool' object is not iterable",
		`{"settings": [{"value": "x"}]}`: "'name'",
		`{"settings": [{"name": "x"}]}`:  "'value'",
	} {
		args, _ := store.ParseDict([]byte(bad))
		if _, err := byName["apply_configuration"].Run(t.Context(), task(), args); err == nil || err.Error() != text {
			t.Errorf("%s: %v, want %s", bad, err, text)
		}
	}
	if len(kept[7]) != 2 {
		t.Errorf("refused settings left %v", kept[7])
	}
	if _, err := byName["factory_reset"].Run(t.Context(), task(), nil); err != nil || len(kept[7]) != 0 {
		t.Errorf("reset: %v, settings %v", err, kept[7])
	}
}

func TestParseDelay(t *testing.T) {
	for text, want := range map[string]fake.Delay{
		"":     {},
		"0":    {},
		"3":    {Min: 3 * time.Second, Max: 3 * time.Second},
		"1,10": {Min: time.Second, Max: 10 * time.Second},
		"1, 2": {Min: time.Second, Max: 2 * time.Second},
	} {
		if got, err := fake.ParseDelay(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"x", "1,", "-1", "1.5"} {
		if got, err := fake.ParseDelay(text); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

func TestDelayStaysWithinItsBoundsAndEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := fake.NewBoot(fake.Config{BootDelay: fake.Delay{Min: 2 * time.Second, Max: 9 * time.Second}})
		for range 50 {
			start := time.Now()
			if err := b.PrepareInstance(t.Context(), task()); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took < 2*time.Second || took > 9*time.Second {
				t.Errorf("took %v", took)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.CleanUpRamdisk(ctx, task()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after the deadline: %v", err)
		}
	})
}

// The update is there for those who ask for it, and waits as configured.
func TestFirmwareUpdate(t *testing.T) {
	delay, err := fake.ParseDelay("3600")
	if err != nil {
		t.Fatal(err)
	}
	firmware := fake.NewFirmware(fake.Config{FirmwareDelay: delay})
	steps := firmware.Steps(drivers.CleanStep)
	if len(steps) != 1 || steps[0].Name != "update" || steps[0].Priority != 0 || !steps[0].Args["settings"].Required {
		t.Fatalf("steps %+v", steps)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := steps[0].Run(ended, task(), nil); err == nil {
		t.Error("an update of an hour is done at once")
	}
	if _, err := fake.NewFirmware(fake.Config{}).Steps(drivers.CleanStep)[0].Run(t.Context(), task(), nil); err != nil {
		t.Error(err)
	}
	if len(firmware.Steps(drivers.DeployStep)) > 0 {
		t.Error("it is offered for deployments")
	}
}
