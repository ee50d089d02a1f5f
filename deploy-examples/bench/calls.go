package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	defaultRateTime = 5 * time.Second
	// warmTime is how long calls are made before they count.
	warmTime = time.Second
)

// callers are how many wait for an answer at any time.
var callers = []int{1, 16, 64}

// kinds of calls: one that reads a node without reserving it, and one that reserves it, as ironic has both.
var kinds = []struct {
	name, method, version string
}{
	{"light", "get_supported_boot_devices", "1.17"},
	{"locking", "get_boot_device", "1.17"},
}

// measureCalls takes the rate of calls and how long each waits for its answer. Every caller has a node of its own.
func measureCalls(ctx context.Context, b *bench, s *subject) error {
	nodes, err := b.fleet.fill(ctx, slices.Max(callers), "available")
	if err != nil {
		return err
	}
	if _, err := s.start(ctx, nil); err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	for _, kind := range kinds {
		for _, n := range callers {
			to := make([]message, n)
			for i := range to {
				to[i], err = b.caller.message(call{kind.method, kind.version, map[string]any{"node_id": nodes[i]}})
				if err != nil {
					return err
				}
			}
			if _, err := s.callFor(ctx, warmTime, to); err != nil {
				return err
			}
			before, err := s.usage()
			if err != nil {
				return err
			}
			began := time.Now()
			waits, err := s.callFor(ctx, b.rateTime, to)
			if err != nil {
				return err
			}
			took := time.Since(began)
			after, err := s.usage()
			if err != nil {
				return err
			}
			name := fmt.Sprintf("%s-%d", kind.name, n)
			s.record(name+"-rate", float64(len(waits))/took.Seconds())
			s.record(name+"-p50", percentile(waits, 50).Seconds())
			s.record(name+"-p99", percentile(waits, 99).Seconds())
			s.record(name+"-cpu", (after.cpu-before.cpu).Seconds()/float64(len(waits)))
		}
	}
	return nil
}

// callFor has each caller make its call again and again for a time, and returns how long every call took, in order.
func (s *subject) callFor(ctx context.Context, d time.Duration, calls []message) ([]time.Duration, error) {
	end := time.Now().Add(d)
	each := make([][]time.Duration, len(calls))
	var all errgroup.Group
	for i, c := range calls {
		all.Go(func() error {
			for began := time.Now(); began.Before(end); began = time.Now() {
				if err := s.repeat(ctx, c); err != nil {
					return err
				}
				each[i] = append(each[i], time.Since(began))
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		return nil, err
	}
	waits := slices.Concat(each...)
	slices.Sort(waits)
	return waits, nil
}

// percentile is the value below or at which a share of the sorted ones lies.
func percentile(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)*percent+99)/100-1]
}
