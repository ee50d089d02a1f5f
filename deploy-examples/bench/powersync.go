package main

import (
	"context"
	"fmt"
	"time"
)

const (
	// syncInterval is long enough for the start to be over and for the first fleet to be through before the next turn.
	syncInterval = 30 * time.Second
	syncTimeout  = 5 * time.Minute
	syncPoll     = 100 * time.Millisecond
	// syncMargin lies between a sample that is certain to be from before a power sync and the first sign of it.
	syncMargin = time.Second
)

// fleets are the numbers of nodes for which a power sync is measured.
var fleets = []int{1000, 5000}

// measureSync takes the processor time of one power sync in which nothing has changed, as most are.
func measureSync(ctx context.Context, b *bench, s *subject) error {
	nodes, err := b.fleet.fill(ctx, fleets[0], "active")
	if err != nil {
		return err
	}
	if _, err := s.start(ctx, map[string]map[string]string{
		"conductor": {"sync_power_state_interval": fmt.Sprint(syncInterval.Seconds())},
	}); err != nil {
		return err
	}
	for _, size := range fleets {
		more, err := b.fleet.add(ctx, size-len(nodes), "active")
		if err != nil {
			return err
		}
		nodes = append(nodes, more...)
		if err := s.syncOnce(ctx, nodes); err != nil {
			return err
		}
	}
	return nil
}

// syncOnce waits for the next power sync and measures it.
//
// Its beginning and its end are seen by two nodes, the first and the last in the order of ids, in which nodes are synced.
// Their rows hold a boot mode, which the hardware does not know: a power sync notices and takes it away.
func (s *subject) syncOnce(ctx context.Context, nodes []string) error {
	f := s.bench.fleet
	if err := f.mark(ctx, nodes[0], nodes[len(nodes)-1]); err != nil {
		return err
	}
	type sample struct {
		at  time.Time
		cpu time.Duration
	}
	var before, begun sample
	var samples []sample
	for end := time.Now().Add(syncTimeout); time.Now().Before(end); {
		u, err := s.usage()
		if err != nil {
			return err
		}
		now := sample{time.Now(), u.cpu}
		samples = append(samples, now)
		first, err := f.marked(ctx, nodes[0])
		if err != nil {
			return err
		}
		last, err := f.marked(ctx, nodes[len(nodes)-1])
		if err != nil {
			return err
		}
		if !first && begun.at.IsZero() {
			begun = now
			for _, old := range samples {
				if now.at.Sub(old.at) >= syncMargin {
					before = old
				}
			}
		}
		if !last {
			name := fmt.Sprintf("sync-%d", len(nodes))
			s.record(name+"-time", now.at.Sub(begun.at).Seconds())
			s.record(name+"-cpu", (now.cpu - before.cpu).Seconds())
			s.record(name+"-node-cpu", (now.cpu-before.cpu).Seconds()/float64(len(nodes)))
			return nil
		}
		if err := pause(ctx, syncPoll); err != nil {
			return err
		}
	}
	return fmt.Errorf("no power sync of %d nodes came to its end within %s", len(nodes), syncTimeout)
}

// mark gives nodes a boot mode.
func (f *fleet) mark(ctx context.Context, nodes ...string) error {
	for _, node := range nodes {
		if _, err := f.db.ExecContext(ctx, "UPDATE nodes SET boot_mode = 'uefi' WHERE uuid = ?", node); err != nil {
			return fmt.Errorf("marking a node: %w", err)
		}
	}
	return nil
}

// marked tells whether a node still has its boot mode.
func (f *fleet) marked(ctx context.Context, node string) (bool, error) {
	var has bool
	err := f.db.QueryRowContext(ctx, "SELECT boot_mode IS NOT NULL FROM nodes WHERE uuid = ?", node).Scan(&has)
	if err != nil {
		return false, fmt.Errorf("reading a node: %w", err)
	}
	return has, nil
}
