package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// watch follows where the nodes stand with one query for all who wait.
type watch struct {
	cancel context.CancelFunc
	ended  chan struct{}

	mu      sync.Mutex
	states  map[string]nodeState
	err     error
	changed chan struct{} // closed and replaced after each look
}

func (f *fleet) watch(ctx context.Context) *watch {
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{cancel: cancel, ended: make(chan struct{}), changed: make(chan struct{})}
	go func() {
		defer close(w.ended)
		for {
			states, err := f.states(ctx)
			w.mu.Lock()
			w.states, w.err = states, err
			close(w.changed)
			w.changed = make(chan struct{})
			w.mu.Unlock()
			if pause(ctx, statePoll) != nil {
				return
			}
		}
	}()
	return w
}

func (w *watch) stop() {
	w.cancel()
	<-w.ended
}

// await returns once the node is in a state and nobody holds it, so that the next call finds it free.
func (w *watch) await(ctx context.Context, node, state string) error {
	limit := time.NewTimer(stateTimeout)
	defer limit.Stop()
	for {
		w.mu.Lock()
		now, err, changed := w.states[node], w.err, w.changed
		w.mu.Unlock()
		switch {
		case err != nil:
			return err
		case now.state == state && !now.held:
			return nil
		case now.failed():
			return fmt.Errorf("node %s ended in %s: %s", node, now.state, now.failure)
		}
		select {
		case <-changed:
		case <-limit.C:
			return fmt.Errorf("node %s is still %s after %s, not %s", node, now.state, stateTimeout, state)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
