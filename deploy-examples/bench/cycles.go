package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	cycles, warmCycles = 100, 10
	// atOnce is how many nodes are in the middle of their cycle at any time.
	atOnce = 10
	// statePoll is how often the database is asked where the nodes stand.
	statePoll = 25 * time.Millisecond
	// stateTimeout bounds the way from one stable state to the next.
	stateTimeout = 2 * time.Minute
)

// stage is a call that moves a node from one stable state to the next.
type stage struct {
	method, version string
	args            map[string]any
	state           string
}

var cycle = []stage{
	{"do_provisioning_action", "1.23", map[string]any{"action": "manage"}, "manageable"},
	{"do_provisioning_action", "1.23", map[string]any{"action": "provide"}, "available"},
	deployStage,
	{"do_node_tear_down", "1.6", nil, "available"},
}

var deployStage = stage{"do_node_deploy", "1.22", map[string]any{"rebuild": false, "configdrive": nil}, "active"}

func (g stage) of(node string) call {
	args := map[string]any{"node_id": node}
	for name, value := range g.args {
		args[name] = value
	}
	return call{g.method, g.version, args}
}

// measureCycles takes the processor time of bringing nodes from enroll to active and back to available, with automated
// cleaning.
func measureCycles(ctx context.Context, b *bench, s *subject) error {
	nodes, err := b.fleet.fill(ctx, warmCycles+cycles, "enroll")
	if err != nil {
		return err
	}
	if _, err := s.start(ctx, nil); err != nil {
		return err
	}
	if err := s.cycle(ctx, nodes[:warmCycles]); err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	asked, err := b.fleet.statements(ctx)
	if err != nil {
		return err
	}
	before, err := s.usage()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := s.cycle(ctx, nodes[warmCycles:]); err != nil {
		return err
	}
	took := time.Since(began)
	after, err := s.usage()
	if err != nil {
		return err
	}
	answered, err := b.fleet.statements(ctx)
	if err != nil {
		return err
	}
	s.record("cycles-cpu", (after.cpu - before.cpu).Seconds())
	s.record("cycles-time", took.Seconds())
	s.record("cycle-statements", float64(answered-asked)/cycles)
	return nil
}

// cycle takes every node once through all stages, a few nodes at a time.
func (s *subject) cycle(ctx context.Context, nodes []string) error {
	watch := s.bench.fleet.watch(ctx)
	defer watch.stop()
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(atOnce)
	for _, node := range nodes {
		all.Go(func() error {
			for _, g := range cycle {
				if err := s.call(ctx, g.of(node)); err != nil {
					return err
				}
				if err := watch.await(ctx, node, g.state); err != nil {
					return fmt.Errorf("after %s: %w", g.method, err)
				}
			}
			return nil
		})
	}
	return all.Wait()
}

// failed tells whether a node came to a state from which nothing leads on by itself.
func (s nodeState) failed() bool { return strings.HasSuffix(s.state, "failed") || s.state == "error" }
