package main

import (
	"context"
	"slices"
	"time"
)

const (
	// starts is how often a conductor is started; the middle one counts.
	starts = 5
	// idleTime is how long it is left alone before its memory is looked at.
	idleTime = 10 * time.Second
	// someNodes are there while a conductor starts.
	someNodes = 100
)

// measureStart takes the time from the start of the process to the first answer, and the memory of the idle process.
func measureStart(ctx context.Context, b *bench, s *subject) error {
	if _, err := b.fleet.fill(ctx, someNodes, "available"); err != nil {
		return err
	}
	var took []time.Duration
	for range starts {
		if err := s.stop(); err != nil {
			return err
		}
		d, err := s.start(ctx, nil)
		if err != nil {
			return err
		}
		took = append(took, d)
	}
	slices.Sort(took)
	s.record("start", took[starts/2].Seconds())
	if err := pause(ctx, idleTime); err != nil {
		return err
	}
	u, err := s.usage()
	if err != nil {
		return err
	}
	s.record("idle-memory", float64(u.memory))
	return nil
}
