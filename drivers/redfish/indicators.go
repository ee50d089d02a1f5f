package redfish

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// The components whose indicators are known (ironic/common/components.py).
const (
	componentChassis = "chassis"
	componentSystem  = "system"
	componentDisk    = "disk"
)

var indicatorStates = map[string]schemas.IndicatorLED{
	"on":       schemas.LitIndicatorLED,
	"off":      schemas.OffIndicatorLED,
	"blinking": schemas.BlinkingIndicatorLED,
	"unknown":  schemas.UnknownIndicatorLED,
}

// lamp is one indicator of a machine.
type lamp struct {
	id       string
	led      schemas.IndicatorLED
	resource entity
}

// lamps finds the indicators of a component. Resources without one are left out. IndicatorLED is deprecated in the schemas,
// but its successor, a boolean, cannot say that an indicator blinks, which users of ironic may ask for.
func (s *system) lamps(component string) ([]lamp, error) {
	var found []lamp
	add := func(id string, led schemas.IndicatorLED, e entity) {
		if led != "" {
			found = append(found, lamp{id, led, e})
		}
	}
	switch component {
	case componentSystem:
		//lint:ignore SA1019 see above
		add(cmp.Or(s.UUID, s.ID), s.IndicatorLED, s.ComputerSystem)
	case componentChassis:
		all, err := s.Chassis()
		if err != nil {
			return nil, single(err)
		}
		for _, c := range all {
			//lint:ignore SA1019 see above
			add(cmp.Or(c.UUID, c.ID), c.IndicatorLED, c)
		}
	case componentDisk:
		stores, err := s.Storage()
		if err != nil {
			return nil, single(err)
		}
		for _, one := range stores {
			drives, err := one.Drives()
			if err != nil {
				return nil, single(err)
			}
			for _, d := range drives {
				//lint:ignore SA1019 see above
				add(d.ID, d.IndicatorLED, d)
			}
		}
	}
	// Drives of several storages may share an id: users get the same one each time, whichever was read first.
	slices.SortStableFunc(found, func(a, b lamp) int { return cmp.Compare(a.resource.GetODataID(), b.resource.GetODataID()) })
	return found, nil
}

// SupportedIndicators lists the LEDs of the system, its chassis and its drives. A part whose LEDs cannot be read is left
// out; the others are not its fault.
func (m *Management) SupportedIndicators(ctx context.Context, t *drivers.Task, component string) (map[string]map[string]drivers.Indicator, error) {
	all := map[string]map[string]drivers.Indicator{}
	err := m.on(ctx, t, "", func(s *system) error {
		for _, name := range []string{componentChassis, componentSystem, componentDisk} {
			if component != "" && component != name {
				continue
			}
			lamps, err := s.lamps(name)
			if err != nil {
				t.Log.Debug().Str("component", name).Str("reason", s.session.explain(err)).Msg("indicators cannot be read")
				continue
			}
			for _, l := range lamps {
				if all[name] == nil {
					all[name] = map[string]drivers.Indicator{}
				}
				all[name][l.id] = drivers.Indicator{States: []string{"blinking", "off", "on"}}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// find returns one indicator by its component and id.
func (s *system) find(component, indicator, doing string) (lamp, error) {
	lamps, err := s.lamps(component)
	if err != nil {
		return lamp{}, s.told(err, "Redfish "+doing+" failed for node "+s.task.Node.UUID+". Error: ")
	}
	for _, l := range lamps {
		if l.id == indicator {
			return l, nil
		}
	}
	return lamp{}, store.Errorf(store.MissingParameterValue, "Unknown indicator %s for component %s of node %s",
		indicator, component, s.task.Node.UUID)
}

// IndicatorState reads an LED.
func (m *Management) IndicatorState(ctx context.Context, t *drivers.Task, component, indicator string) (state string, err error) {
	err = m.on(ctx, t, "", func(s *system) error {
		l, err := s.find(component, indicator, fmt.Sprintf("get %s indicator %s state", component, indicator))
		if err != nil {
			return err
		}
		state = "unknown"
		for name, value := range indicatorStates {
			if l.led == value {
				state = name
			}
		}
		return nil
	})
	return state, err
}

// SetIndicatorState sets an LED.
func (m *Management) SetIndicatorState(ctx context.Context, t *drivers.Task, component, indicator, state string) error {
	value, known := indicatorStates[state]
	if !known || state == "unknown" {
		return store.Errorf(store.InvalidParameterValue, "Invalid indicator state %s specified.", state)
	}
	return m.on(ctx, t, "", func(s *system) error {
		doing := fmt.Sprintf("set %s indicator %s state %s", component, indicator, state)
		l, err := s.find(component, indicator, doing)
		if err != nil || l.led == value {
			return err
		}
		if err := patch(l.resource, map[string]any{"IndicatorLED": value}); err != nil {
			return s.told(err, "Redfish "+doing+" failed for node "+t.Node.UUID+". Error: ")
		}
		return nil
	})
}
