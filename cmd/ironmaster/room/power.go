package room

import (
	"context"
	"fmt"
	"maps"
	"time"
)

// powerChange is one change of the power supply.
type powerChange int

const (
	powerOn powerChange = iota
	powerOff
	powerCycle
)

// resetTypes are the values of ComputerSystem.Reset that a BMC offers. No operating system in the room takes its time to
// shut down, so the graceful kinds differ from the forced ones in name only.
var resetTypes = map[string]powerChange{
	"On":               powerOn,
	"ForceOn":          powerOn,
	"ForceOff":         powerOff,
	"GracefulShutdown": powerOff,
	"ForceRestart":     powerCycle,
	"GracefulRestart":  powerCycle,
	"PowerCycle":       powerCycle,
}

// resetOf tells what a reset type does to a machine. Nmi changes no power state here, as nothing listens.
func resetOf(kind string, powered bool) (change powerChange, acts, known bool) {
	switch kind {
	case "Nmi":
		return 0, false, true
	case "PushPowerButton":
		if powered {
			return powerOff, true, true
		}
		return powerOn, true, true
	}
	change, known = resetTypes[kind]
	return change, known, known
}

// session is one time between power on and power off.
type session struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func (s *session) end() {
	if s == nil {
		return
	}
	s.cancel()
	<-s.done
}

// supply is the machine's power supply: it carries out the changes one after the other until ctx ends, and then cuts the
// power.
func (m *Machine) supply(ctx context.Context) {
	var running *session
	defer func() {
		running.end()
		m.change(func(s *state) { s.powered, s.booted = false, BootNothing })
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case change := <-m.changes:
			if !pause(ctx, m.room.cfg.PowerDelay) {
				return
			}
			if change == powerOff || change == powerCycle {
				running.end()
				running = nil
				m.change(func(s *state) { s.powered, s.booted, s.bootError = false, BootNothing, "" })
			}
			if change == powerCycle && !pause(ctx, m.room.cfg.PowerDelay) {
				return
			}
			if (change == powerOn || change == powerCycle) && running == nil {
				running = m.start(ctx)
			}
		}
	}
}

// start puts power on the machine and lets it boot in the background.
func (m *Machine) start(ctx context.Context) *session {
	ctx, cancel := context.WithCancel(ctx)
	s := &session{cancel: cancel, done: make(chan struct{})}
	var plan bootPlan
	m.change(func(s *state) { plan = s.powerUp() })
	m.log.Debug().Str("source", plan.source).Msg("power on")
	go func() {
		defer close(s.done)
		m.boot(ctx, plan)
	}()
	return s
}

// bootPlan is what the firmware decided at power on.
type bootPlan struct {
	source string
	image  string
	mode   string
}

// powerUp applies what waits for the next boot and consumes an override that was meant for one boot (Redfish
// ComputerSystem, BootSourceOverrideEnabled).
func (s *state) powerUp() bootPlan {
	plan := bootPlan{source: "Hdd", mode: s.override.Mode}
	if s.override.Enabled != "Disabled" && s.override.Target == "Cd" {
		plan.source, plan.image = "Cd", s.media[mediaCD].Image
	}
	if s.override.Enabled == "Once" {
		s.override.Enabled, s.override.Target = "Disabled", "None"
	}
	s.powered, s.booted, s.bootError = true, BootNothing, ""
	s.starts++
	s.secureBootCurrent = s.secureBoot
	maps.Copy(s.bios, s.biosPending)
	s.biosPending = nil
	return plan
}

// boot runs what the plan says until ctx ends.
func (m *Machine) boot(ctx context.Context, plan bootPlan) {
	if !pause(ctx, m.room.cfg.BootDelay) {
		return
	}
	if plan.source == "Cd" && plan.image != "" {
		if err := m.bootMedia(ctx, plan); err != nil && ctx.Err() == nil {
			m.log.Warn().Err(err).Msg("booting from virtual media")
			m.change(func(s *state) { s.booted, s.bootError = BootFailed, err.Error() })
		}
		return
	}
	bootable, err := m.disk.bootable()
	m.change(func(s *state) {
		switch {
		case err != nil:
			s.booted, s.bootError = BootFailed, err.Error()
		case bootable:
			s.booted = BootDisk
		default:
			s.booted, s.bootError = BootFailed, "the disk has no partition table"
		}
	})
}

// bootMedia reads the kernel command line from the inserted ISO and runs the agent with it.
func (m *Machine) bootMedia(ctx context.Context, plan bootPlan) error {
	parameters, err := m.room.fetchParameters(ctx, plan)
	if err != nil {
		return fmt.Errorf("reading the boot ISO: %w", err)
	}
	a, err := newAgent(m, parameters)
	if err != nil {
		return fmt.Errorf("starting the agent: %w", err)
	}
	m.change(func(s *state) { s.booted = BootAgent })
	return a.run(ctx)
}

func (s *state) clone() state {
	c := *s
	c.media, c.indicators = maps.Clone(s.media), maps.Clone(s.indicators)
	c.bios, c.biosPending = maps.Clone(s.bios), maps.Clone(s.biosPending)
	return c
}

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
