package room

import (
	"context"
	"fmt"
)

// simulated is the computer of a machine that exists in this process only: it boots what is on its disk file in name, and
// runs an agent of its own when it boots a ramdisk.
type simulated struct{ m *Machine }

// Insert has nothing to do: the machine reads of an image what it needs when it boots.
func (simulated) Insert(context.Context, string, string) error { return nil }

// PowerOn lets the machine boot in the background.
func (c simulated) PowerOn(ctx context.Context, plan BootPlan) (Running, error) {
	ctx, cancel := context.WithCancel(ctx)
	s := &session{cancel: cancel, off: make(chan struct{})}
	go func() {
		defer close(s.off)
		c.m.boot(ctx, plan)
		<-ctx.Done()
	}()
	return s, nil
}

// session is one time that a simulated machine has power.
type session struct {
	cancel context.CancelFunc
	off    chan struct{}
}

func (s *session) Off() <-chan struct{} { return s.off }

func (s *session) Cut() {
	s.cancel()
	<-s.off
}

// PressButton switches off at once: no operating system in the room takes its time to shut down.
func (s *session) PressButton(context.Context) error {
	s.cancel()
	return nil
}

// Interrupt changes nothing, as nothing listens.
func (s *session) Interrupt(context.Context) error { return nil }

// boot runs what the plan says until ctx ends.
func (m *Machine) boot(ctx context.Context, plan BootPlan) {
	if !pause(ctx, m.room.cfg.BootDelay) {
		return
	}
	var err error
	switch {
	case plan.Source == SourceCD && plan.Image != "":
		err = m.bootMedia(ctx, plan)
	case plan.Source == SourceNetwork || plan.Source == SourceHTTP:
		err = m.bootNetwork(ctx, plan)
	default:
		m.bootDisk(ctx, plan, "")
	}
	if err != nil && ctx.Err() == nil {
		m.log.Warn().Err(err).Str("source", plan.Source).Msg("booting")
		m.change(func(s *state) { s.booted, s.bootError = BootFailed, err.Error() })
	}
}

// bootDisk runs what is on the disk, in name. What was tried before is told with the reason that it cannot.
func (m *Machine) bootDisk(ctx context.Context, plan BootPlan, before string) {
	err := m.disk.bootable(ctx, plan.Mode)
	if err != nil && before != "" {
		err = fmt.Errorf("%s; then %w", before, err)
	}
	m.change(func(s *state) {
		if s.booted = BootDisk; err != nil {
			s.booted, s.bootError = BootFailed, err.Error()
		}
	})
}

// bootMedia reads the kernel command line from the inserted ISO and runs what it tells of.
func (m *Machine) bootMedia(ctx context.Context, plan BootPlan) error {
	parameters, err := m.room.fetchParameters(ctx, plan)
	if err != nil {
		return fmt.Errorf("reading the boot ISO: %w", err)
	}
	return m.bootKernel(ctx, parameters)
}

// bootKernel runs a ramdisk: an agent, an installer, or an instance that has no disk.
func (m *Machine) bootKernel(ctx context.Context, parameters map[string]string) error {
	if kickstart := parameters["inst.ks"]; kickstart != "" {
		return m.bootInstaller(ctx, kickstart)
	}
	if parameters["root"] != "/dev/ram0" || parameters["ipa-api-url"] != "" {
		return m.bootAgent(ctx, parameters)
	}
	m.change(func(s *state) { s.booted = BootRamdisk })
	<-ctx.Done()
	return ctx.Err()
}

func (m *Machine) bootAgent(ctx context.Context, parameters map[string]string) error {
	a, err := newAgent(m, parameters)
	if err != nil {
		return fmt.Errorf("starting the agent: %w", err)
	}
	m.change(func(s *state) { s.booted = BootAgent })
	return a.run(ctx)
}
