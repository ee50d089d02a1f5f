package fake

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Management is the management interface fake: a machine that boots from the network and has two LEDs.
type Management struct {
	plain
	drivers.BareManagement
	delay Delay
}

// NewManagement returns the management interface fake.
func NewManagement(c Config) *Management { return &Management{delay: c.ManagementDelay} }

// SupportedBootDevices is the network alone.
func (*Management) SupportedBootDevices(context.Context, *drivers.Task) ([]string, error) {
	return []string{store.BootDevicePXE}, nil
}

// BootDevice is the network, for once.
func (m *Management) BootDevice(ctx context.Context, _ *drivers.Task) (drivers.BootDevice, error) {
	persistent := false
	return drivers.BootDevice{Device: store.BootDevicePXE, Persistent: &persistent}, m.delay.wait(ctx)
}

// SetBootDevice accepts the network.
func (m *Management) SetBootDevice(ctx context.Context, _ *drivers.Task, device string, _ bool) error {
	if err := m.delay.wait(ctx); err != nil {
		return err
	}
	if device != store.BootDevicePXE {
		return store.Errorf(store.InvalidParameterValue, "Invalid boot device %s specified.", device)
	}
	return nil
}

func indicators() map[string]map[string]drivers.Indicator {
	return map[string]map[string]drivers.Indicator{
		"chassis": {"led-0": {ReadOnly: true, States: []string{"off", "on"}}},
		"system":  {"led": {States: []string{"blinking", "off", "on"}}},
	}
}

// SupportedIndicators are an LED of the chassis and one of the system.
func (m *Management) SupportedIndicators(ctx context.Context, _ *drivers.Task, component string) (map[string]map[string]drivers.Indicator, error) {
	if err := m.delay.wait(ctx); err != nil {
		return nil, err
	}
	all := indicators()
	if component == "" {
		return all, nil
	}
	out := map[string]map[string]drivers.Indicator{}
	if one, ok := all[component]; ok {
		out[component] = one
	}
	return out, nil
}

// IndicatorState is always on.
func (m *Management) IndicatorState(ctx context.Context, _ *drivers.Task, component, indicator string) (string, error) {
	if err := m.delay.wait(ctx); err != nil {
		return "", err
	}
	leds, ok := indicators()[component]
	if !ok {
		return "", store.Errorf(store.InvalidParameterValue, "Invalid component %s specified.", component)
	}
	if _, ok := leds[indicator]; !ok {
		return "", store.Errorf(store.InvalidParameterValue, "Invalid indicator %s specified.", indicator)
	}
	return "on", nil
}

var _ drivers.Management = (*Management)(nil)
