package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

const (
	startTimeout = 90 * time.Second
	// settleTime is how long a conductor is left alone before it is measured: what its start left to do is over then.
	settleTime = 4 * time.Second
)

// subject is a conductor while one part is measured.
type subject struct {
	bench     *bench
	conductor conductor
	part      string
	service   *lab.Service
}

// host is the name under which the conductor registers and its queue is known.
func (s *subject) host() string { return "bench-" + s.conductor.name }

// start runs the conductor with options on top of those of all parts, and returns how long it took until it had answered
// a call. The call waits in the conductor's queue already, so it is answered as soon as anything is.
func (s *subject) start(ctx context.Context, options map[string]map[string]string) (time.Duration, error) {
	file := filepath.Join(s.bench.lab.Dir, s.conductor.name+"-"+s.part+".conf")
	if err := s.bench.lab.WriteConf(file, s.host(), lab.Merge(settings, options)); err != nil {
		return 0, err
	}
	if err := s.bench.caller.declare(s.host()); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	m, err := s.bench.caller.message(driverProperties)
	if err != nil {
		return 0, err
	}
	first, err := s.bench.caller.send(ctx, s.host(), m)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	s.service, err = s.bench.lab.StartService(lab.Command{
		Name: s.host(), Path: s.conductor.path,
		Args: append(slices.Clone(s.conductor.args), "--config-file", file),
	})
	if err != nil {
		return 0, err
	}
	go func(service *lab.Service) {
		// A conductor that ends by itself will not answer.
		_ = service.Wait()
		cancel()
	}(s.service)
	if err := first.wait(ctx); err != nil {
		return 0, fmt.Errorf("waiting for the first answer (the log is %s): %w", s.service.LogFile(), err)
	}
	return time.Since(began), nil
}

// stop ends the conductor in order, so that its row does not look alive to the next.
func (s *subject) stop() error {
	if s.service == nil {
		return nil
	}
	err := s.service.Stop()
	s.service = nil
	return err
}

// usage is what the conductor's processes use now.
func (s *subject) usage() (usage, error) { return usageOf(s.service.PID()) }

// settle waits until the conductor has nothing to do any more.
func (s *subject) settle(ctx context.Context) error { return pause(ctx, settleTime) }

// call does one RPC.
func (s *subject) call(ctx context.Context, r call) error {
	m, err := s.bench.caller.message(r)
	if err != nil {
		return err
	}
	return s.repeat(ctx, m)
}

// repeat does an RPC that was encoded already.
func (s *subject) repeat(ctx context.Context, m message) error {
	reply, err := s.bench.caller.send(ctx, s.host(), m)
	if err != nil {
		return err
	}
	return reply.wait(ctx)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
