package room

import (
	"context"
	"maps"
	"time"
)

// powerChange is one change that is asked of the power supply.
type powerChange int

const (
	powerOn powerChange = iota
	powerOff
	powerCycle
	// shutDown and restart ask the operating system; what it does shows when the power goes off, or does not.
	shutDown
	restart
	interrupt
)

// resetTypes are the values of ComputerSystem.Reset that a BMC offers, apart from PushPowerButton.
var resetTypes = map[string]powerChange{
	"On":               powerOn,
	"ForceOn":          powerOn,
	"ForceOff":         powerOff,
	"GracefulShutdown": shutDown,
	"ForceRestart":     powerCycle,
	"GracefulRestart":  restart,
	"PowerCycle":       powerCycle,
	"Nmi":              interrupt,
}

// resetOf tells what a reset type asks of a machine.
func resetOf(kind string, powered bool) (change powerChange, known bool) {
	if kind == "PushPowerButton" {
		if powered {
			return shutDown, true
		}
		return powerOn, true
	}
	change, known = resetTypes[kind]
	return change, known
}

// supply is the power supply of a machine.
type supply struct {
	m *Machine
	// running is nil while the power is off.
	running Running
	// restarting is set while the operating system was asked to restart.
	restarting bool
}

// run carries out the changes one after the other until ctx ends, and then cuts the power.
func (s *supply) run(ctx context.Context) {
	defer s.cut()
	for {
		var off <-chan struct{}
		if s.running != nil {
			off = s.running.Off()
		}
		select {
		case <-ctx.Done():
			return
		case <-off:
			s.cut()
			if s.restarting {
				s.start(ctx)
			}
		case change := <-s.m.changes:
			if !pause(ctx, s.m.room.cfg.PowerDelay) {
				return
			}
			s.carryOut(ctx, change)
		}
	}
}

func (s *supply) carryOut(ctx context.Context, change powerChange) {
	s.restarting = false
	switch change {
	case powerOn:
		s.start(ctx)
	case powerOff:
		s.cut()
	case powerCycle:
		s.cut()
		if pause(ctx, s.m.room.cfg.PowerDelay) {
			s.start(ctx)
		}
	case shutDown, restart:
		if s.running != nil {
			s.ask(ctx, s.running.PressButton)
		}
		s.restarting = change == restart
	case interrupt:
		if s.running != nil {
			s.ask(ctx, s.running.Interrupt)
		}
	}
}

// askTimeout bounds how long a computer takes to hear of a pressed button.
const askTimeout = 10 * time.Second

func (s *supply) ask(ctx context.Context, press func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if err := press(ctx); err != nil {
		s.m.log.Warn().Err(err).Msg("pressing a button of the machine")
	}
}

// start puts power on the machine unless it is on.
func (s *supply) start(ctx context.Context) {
	s.restarting = false
	if s.running != nil {
		return
	}
	var plan BootPlan
	s.m.change(func(state *state) { plan = state.powerUp() })
	s.m.log.Debug().Str("source", plan.Source).Str("mode", plan.Mode).Msg("power on")
	running, err := s.m.computer.PowerOn(ctx, plan)
	if err != nil {
		s.m.log.Error().Err(err).Msg("switching the machine on")
		s.m.change(func(state *state) { state.powerDown() })
		return
	}
	s.running = running
}

// cut takes the power away, if it is on, and says so once it is off.
func (s *supply) cut() {
	if s.running != nil {
		s.running.Cut()
		s.running = nil
		s.m.log.Debug().Msg("power off")
	}
	s.m.change(func(state *state) { state.powerDown() })
}

// powerUp applies what waits for the next boot and consumes an override that was meant for one boot (Redfish
// ComputerSystem, BootSourceOverrideEnabled).
func (s *state) powerUp() BootPlan {
	maps.Copy(s.bios, s.biosPending)
	s.biosPending = nil
	s.makeChanges()
	// HPE's machines have their boot mode among the settings, and nowhere else.
	switch s.bios[biosBootMode] {
	case "Uefi":
		s.override.Mode = ModeUEFI
	case "LegacyBios":
		s.override.Mode = ModeLegacy
	}
	plan := BootPlan{Source: SourceDisk, Next: SourceDisk, Mode: s.override.Mode, Image: s.media[mediaCD].Image}
	if s.override.Enabled != "Disabled" && s.override.Target != "None" {
		plan.Source = s.override.Target
	}
	if s.physicalCD {
		if plan.Source == SourceCD {
			plan.Image = ""
		}
		if s.virtualBoot != "" {
			plan.Source, plan.Image = SourceCD, s.media[mediaCD].Image
		}
		if s.virtualBoot == "Once" {
			s.virtualBoot = ""
		}
	}
	switch s.override.Enabled {
	case "Continuous":
		plan.Next = plan.Source
	case "Once":
		s.override.Enabled, s.override.Target = "Disabled", "None"
	}
	s.powered, s.booted, s.bootError = true, BootNothing, ""
	s.starts++
	s.rescuePassword = ""
	s.secureBootCurrent = s.secureBoot
	return plan
}

func (s *state) powerDown() { s.powered, s.booted, s.bootError = false, BootNothing, "" }

// pause waits; it returns false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
