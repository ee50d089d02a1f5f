package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
	"github.com/ironmaster/ironmaster/drivers"
)

const (
	// hands is how many requests are made to ironic-api at a time.
	hands = 8
	// meanLife is how long a worker lives on average until it is killed, longestLife at most. The shorter ones end while the
	// worker starts.
	meanLife, longestLife = 1500 * time.Millisecond, 6 * time.Second
	// roundKills is how many kills fall into one round at most. What they hold up comes to its end in peace, and there are more
	// rounds, in whose beginning, middle and end kills fall.
	roundKills = 20
	// quietTime is how long no node may move until those that should are given up: longer than anything that a flow waits for.
	quietTime = time.Minute
	// noticeTime is how long a notification may take.
	noticeTime = 15 * time.Second
	// takeoverLimit is how long is waited for a peer.
	takeoverLimit = deadAfter + 15*time.Second
)

// enrolAll creates the nodes of all machines and makes them available.
func (s *site) enrolAll(ctx context.Context) ([]string, error) {
	machines := s.room.Machines()
	enrolled := make([]string, len(machines))
	err := each(ctx, machines, func(ctx context.Context, i int, m *room.Machine) (err error) {
		enrolled[i], err = s.enrol(ctx, m.Info(), s.instance(i))
		return err
	})
	for _, stage := range []struct{ verb, from, to string }{
		{"manage", "enroll", "manageable"}, {"provide", "manageable", "available"},
	} {
		if err == nil {
			err = s.moveAll(ctx, enrolled, stage.verb, stage.from, stage.to)
		}
	}
	return enrolled, err
}

// moveAll orders a change of provision state of nodes and waits until all are there.
func (s *site) moveAll(ctx context.Context, nodes []string, verb, from, to string) error {
	if err := each(ctx, nodes, func(ctx context.Context, _ int, node string) error {
		return s.order(ctx, node, verb, from)
	}); err != nil {
		return err
	}
	rows, err := s.settle(ctx)
	if err != nil {
		return err
	}
	for _, node := range nodes {
		if r := rows[node]; r.state != to || r.holder != "" {
			return fmt.Errorf("after %s, node %s (%s) is in %q, held by %q: %s", verb, node, r.name, r.state, r.holder, r.failure)
		}
	}
	return nil
}

// settle waits until no node moves, or none of those that should has moved for quietTime. That somebody looks at a node, and
// holds it meanwhile, is no move.
func (s *site) settle(ctx context.Context) (map[string]row, error) {
	var before map[string]row
	since := time.Now()
	for {
		now, err := s.rows(ctx)
		if err != nil {
			return nil, err
		}
		if !anyMoving(now) {
			return now, nil
		}
		if !sameRows(before, now) {
			before, since = now, time.Now()
		}
		if time.Since(since) > quietTime {
			return now, nil
		}
		if err := drivers.Pause(ctx, pollPause); err != nil {
			return nil, err
		}
	}
}

func anyMoving(rows map[string]row) bool {
	for _, r := range rows {
		if r.moving() {
			return true
		}
	}
	return false
}

func sameRows(a, b map[string]row) bool {
	if len(a) != len(b) {
		return false
	}
	for node, r := range a {
		if !b[node].at(r) {
			return false
		}
	}
	return true
}

// each calls do for every item, a few at a time.
func each[T any](ctx context.Context, items []T, do func(context.Context, int, T) error) error {
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(hands)
	for i, item := range items {
		all.Go(func() error { return do(ctx, i, item) })
	}
	return all.Wait()
}

// playRound deploys all machines at once, kills while that goes on, counts what came of it, and tears down. It returns false when
// something was left behind.
func (t *trial) playRound(ctx context.Context) (clean bool, err error) {
	t.round++
	t.site.notices.forget()
	began, killed := time.Now(), t.done
	orders, orderCtx := errgroup.WithContext(ctx)
	ordered := make(chan struct{})
	orders.Go(func() error {
		defer close(ordered)
		return each(orderCtx, t.nodes, func(ctx context.Context, _ int, node string) error {
			return t.site.order(ctx, node, "active", "available")
		})
	})
	if err := t.killWhile(ctx, ordered); err != nil {
		return false, err
	}
	if err := orders.Wait(); err != nil {
		return false, err
	}
	rows, err := t.site.settle(ctx)
	if err != nil {
		return false, err
	}
	sum, err := t.judge(ctx, began, rows)
	if err != nil {
		return false, err
	}
	t.say("%s, %s: round %d, killed %d times, %.0f s: %s", t.program.name, t.mode, t.round, t.done-killed,
		time.Since(began).Seconds(), sum)
	if sum.left > 0 || sum.locks > 0 {
		return false, nil
	}
	return true, t.tearDown(ctx, rows)
}

// tearDown makes the nodes available again, and gives them the image of the next round.
func (t *trial) tearDown(ctx context.Context, rows map[string]row) error {
	for _, from := range []string{"active", "deploy failed"} {
		var those []string
		for node, r := range rows {
			if r.state == from {
				those = append(those, node)
			}
		}
		if err := t.site.moveAll(ctx, those, "deleted", from, "available"); err != nil {
			return err
		}
	}
	return each(ctx, t.nodes, func(ctx context.Context, i int, node string) error {
		return t.site.choose(ctx, node, t.site.instance(i+t.round))
	})
}

// killWhile kills until the deployments are over or there were enough kills.
func (t *trial) killWhile(ctx context.Context, ordered <-chan struct{}) error {
	if t.once {
		// In the middle of all of them.
		select {
		case <-ordered:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	most := roundKills
	if t.once {
		most = 1
	}
	for n := 0; t.done < t.kills && n < most; n++ {
		life := min(longestLife, time.Duration(t.dice.ExpFloat64()*float64(meanLife)))
		if err := drivers.Pause(ctx, life); err != nil {
			return err
		}
		if over, err := t.awaitWork(ctx, ordered); err != nil || over {
			return err
		}
		if err := t.kill(ctx, t.site.hosts[t.dice.IntN(len(t.site.hosts))]); err != nil {
			return err
		}
		t.done++
	}
	return nil
}

// awaitWork waits until a deployment is under way. It returns true when none will be any more.
func (t *trial) awaitWork(ctx context.Context, ordered <-chan struct{}) (over bool, err error) {
	for {
		all := false
		select {
		case <-ordered:
			all = true
		default:
		}
		rows, err := t.site.rows(ctx)
		if err != nil {
			return false, err
		}
		for _, r := range rows {
			if slices.Contains(underWay, r.state) || slices.Contains(waiting, r.state) {
				return false, nil
			}
		}
		if all {
			return true, nil
		}
		if err := drivers.Pause(ctx, pollPause); err != nil {
			return false, err
		}
	}
}

// kill ends a conductor, notes what that interrupted, and has it come back as the mode says.
func (t *trial) kill(ctx context.Context, h *host) error {
	at, err := h.kill()
	if err != nil {
		return err
	}
	rows, err := t.site.rows(ctx)
	if err != nil {
		return err
	}
	k := newKill(h.name, at, rows)
	if t.mode == staysAway {
		if err := t.awaitTakeover(ctx, h.name, k); err != nil {
			return err
		}
	}
	k.back, err = h.start(ctx)
	t.killsMade = append(t.killsMade, k)
	return err
}

// awaitTakeover waits until no interrupted flow is the dead worker's any more.
func (t *trial) awaitTakeover(ctx context.Context, dead string, k *kill) error {
	for {
		rows, err := t.site.rows(ctx)
		if err != nil {
			return err
		}
		left := 0
		for node := range k.interrupted {
			// Python's conductor writes no epoch: a node that nobody holds counts as what it was before.
			if r := rows[node]; strings.EqualFold(r.holder, dead) || r.interruptedAt(dead) {
				left++
			}
		}
		since := time.Since(k.at)
		if left == 0 && (len(k.interrupted) > 0 || since > deadAfter+2*time.Second) || since > takeoverLimit {
			return nil
		}
		if err := drivers.Pause(ctx, pollPause); err != nil {
			return err
		}
	}
}
