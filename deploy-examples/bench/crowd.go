package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	crowd = 300
	// crowdCallers order the deployments.
	crowdCallers = 16
	// crowdTimeout bounds how long it takes until all are under way. Each deployment lasts twice crowdDelay, which has to be
	// long enough for the slower conductor to begin the last one before the first one ends.
	crowdTimeout = 2 * time.Minute
	crowdDelay   = "60"
)

// crowdSettings let a conductor work on all deployments at the same time, each of which does nothing for a while.
var crowdSettings = map[string]map[string]string{
	"conductor": {"workers_pool_size": "400"},
	"fake":      {"deploy_delay": crowdDelay},
}

// measureCrowd takes the memory of a conductor at its peak, when all deployments are under way.
func measureCrowd(ctx context.Context, b *bench, s *subject) error {
	nodes, err := b.fleet.fill(ctx, crowd, "available")
	if err != nil {
		return err
	}
	if _, err := s.start(ctx, crowdSettings); err != nil {
		return err
	}
	began := time.Now()
	orders, orderCtx := errgroup.WithContext(ctx)
	orders.SetLimit(crowdCallers)
	for _, node := range nodes {
		orders.Go(func() error { return s.call(orderCtx, deployStage.of(node)) })
	}
	if err := orders.Wait(); err != nil {
		return err
	}
	most, err := b.fleet.awaitDeploying(ctx, crowd)
	if err != nil {
		return err
	}
	s.record("crowd-time", time.Since(began).Seconds())
	s.record("crowd", float64(most))
	u, err := s.usage()
	if err != nil {
		return err
	}
	s.record("crowd-memory", float64(u.peak))
	// In order it would wait for deployments that nobody is interested in.
	err = s.service.Kill()
	s.service = nil
	return err
}

// awaitDeploying waits until so many nodes are being deployed, and returns the most that there were at any time.
func (f *fleet) awaitDeploying(ctx context.Context, wanted int) (most int, err error) {
	for end := time.Now().Add(crowdTimeout); time.Now().Before(end); {
		states, err := f.states(ctx)
		if err != nil {
			return 0, err
		}
		now := 0
		for node, s := range states {
			if s.failed() {
				return 0, fmt.Errorf("node %s ended in %s: %s", node, s.state, s.failure)
			}
			if s.state == "deploying" {
				now++
			}
		}
		most = max(most, now)
		if most >= wanted || now < most {
			break
		}
		if err := pause(ctx, statePoll); err != nil {
			return 0, err
		}
	}
	return most, nil
}
