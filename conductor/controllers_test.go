package conductor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/store"
)

// machines are nodes whose BMCs answer, or are silent until they are released.
type machines struct {
	mu     sync.Mutex
	silent map[string]bool
	asked  map[string]int
	// release ends the silence; the BMCs then answer.
	release chan struct{}
}

func newMachines() *machines {
	return &machines{silent: map[string]bool{}, asked: map[string]int{}, release: make(chan struct{})}
}

func (m *machines) powerState(ctx context.Context, n *store.Node) (string, error) {
	m.mu.Lock()
	m.asked[n.UUID]++
	silent := m.silent[n.UUID]
	m.mu.Unlock()
	if silent {
		select {
		case <-m.release:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	return store.PowerOff, nil
}

func (m *machines) times(node string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.asked[node]
}

// BMCs that are silent, more of them than there are workers, hold up neither the others nor the next power sync.
func TestSilentBMCsHoldUpNobodyElse(t *testing.T) {
	for _, c := range []struct {
		name     string
		node     func(*store.Node)
		failures int
		turn     func(*Conductor, context.Context) error
	}{
		{name: "power sync", turn: (*Conductor).syncPowerStates},
		{name: "power sync of nodes that failed before", failures: 1, turn: (*Conductor).syncPowerStates},
		{name: "recovery", turn: (*Conductor).recoverPowerFailures, node: func(n *store.Node) {
			reason := "the BMC is away"
			n.Maintenance, n.MaintenanceReason, n.Fault = true, &reason, store.FaultPower
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := startWorker(t, func(c *Config) { c.SyncPowerStateWorkers, c.ForcePowerStateDuringSync = 2, false })
			m := newMachines()
			w.script.use(behaviour{powerStateOf: m.powerState})
			var silent, answering []string
			for i := range 60 { // 5 % are silent
				n := w.enroll(t, func(n *store.Node) {
					n.ProvisionState, n.PowerState = store.Manageable, store.PowerOn
					if c.node != nil {
						c.node(n)
					}
				})
				w.powerCounts.set(n.UUID, c.failures)
				if m.silent[n.UUID] = i%20 == 0; m.silent[n.UUID] {
					silent = append(silent, n.UUID)
				} else {
					answering = append(answering, n.UUID)
				}
			}
			// Two turns: the second one does not wait for the first one's BMCs, and leaves them alone.
			for turn := 1; turn <= 2; turn++ {
				if err := c.turn(w.Conductor, t.Context()); err != nil {
					t.Fatal(err)
				}
				waitUntil(t, "all others are through", func() bool { return w.controllers.asked() == len(silent) })
			}
			for _, node := range answering {
				got := w.row(t, node)
				equal(t, "power state", got.PowerState, store.PowerOff)
				equal(t, "maintenance", got.Maintenance, false)
			}
			for _, node := range silent {
				equal(t, "times that a silent BMC was asked", m.times(node), 1)
				equal(t, "power state", w.row(t, node).PowerState, store.PowerOn)
			}
			close(m.release)
			w.answered(t)
			for _, node := range silent {
				equal(t, "power state after an answer", w.row(t, node).PowerState, store.PowerOff)
			}
		})
	}
}

// Nodes that share a BMC are asked for one after the other.
func TestOneQuestionAtATimeForEachBMC(t *testing.T) {
	w := startWorker(t, func(c *Config) { c.ForcePowerStateDuringSync = false })
	chassis := func(n *store.Node) string { return n.Properties.String("chassis") }
	var mu sync.Mutex
	inside, most, order := map[string]int{}, 0, map[string][]string{}
	w.script.use(behaviour{controller: chassis, powerStateOf: func(_ context.Context, n *store.Node) (string, error) {
		at := chassis(n)
		mu.Lock()
		inside[at]++
		most = max(most, inside[at])
		order[at] = append(order[at], n.UUID)
		mu.Unlock()
		defer func() {
			mu.Lock()
			defer mu.Unlock()
			inside[at]--
		}()
		return store.PowerOff, nil
	}})
	want := map[string][]string{}
	for i := range 30 {
		at := fmt.Sprint("chassis-", i%3)
		n := w.enroll(t, func(n *store.Node) {
			n.ProvisionState, n.PowerState, n.Properties = store.Manageable, store.PowerOff, store.Dict{"chassis": at}
		})
		want[at] = append(want[at], n.UUID)
	}
	w.syncPower(t)
	equal(t, "most questions at a time", most, 1)
	for at, nodes := range want {
		slices.Sort(nodes)
		got := slices.Sorted(slices.Values(order[at]))
		equal(t, "nodes asked at "+at, strings.Join(got, " "), strings.Join(nodes, " "))
	}
}

// A worker that may not go on cuts its questions off, and holds nothing against the BMCs.
func TestQuestionsEndWithTheirContext(t *testing.T) {
	w := startWorker(t, nil)
	m := newMachines()
	w.script.use(behaviour{powerStateOf: m.powerState})
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState, n.PowerState = store.Manageable, store.PowerOn })
	m.silent[n.UUID] = true
	ctx, stop := context.WithCancel(t.Context())
	if err := w.syncPowerStates(ctx); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the BMC is asked", func() bool { return m.times(n.UUID) == 1 })
	stop()
	w.answered(t)
	equal(t, "failures in a row", w.powerCounts.get(n.UUID), 0)
	w.unlocked(t)
	if err := w.syncPowerStates(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}

// Places come back however their errands end.
func TestPlacesAreGivenBack(t *testing.T) {
	s := newControllers(1)
	ctx, stop := context.WithCancel(t.Context())
	p := &place{of: s}
	for _, e := range []errand{{ctx: ctx}, {ctx: ctx, doubtful: true}, {ctx: ctx}} {
		if err := p.take(e); err != nil {
			t.Fatal(err)
		}
		other := &place{of: s}
		p.whileAsking(ctx, func() {
			// The place is lent meanwhile, or none is used.
			if err := other.take(errand{ctx: ctx}); err != nil {
				t.Error(err)
			}
			other.leave()
		})
	}
	other := &place{of: s}
	p.whileAsking(ctx, func() {
		if err := other.take(errand{ctx: ctx}); err != nil {
			t.Error(err)
		}
		stop()
	})
	p.leave()
	other.leave()
	if !s.places.TryAcquire(1) || !s.lent.TryAcquire(waitersPerPlace) || !s.doubtful.TryAcquire(waitersPerPlace) {
		t.Error("a place is missing")
	}
}

// A bug that asking a controller brings to light costs no place and makes none, whether the place was lent by then or was about to be.
func TestPlacesOutliveAPanic(t *testing.T) {
	for name, after := range map[string]time.Duration{"before the place is lent": 0, "once the place is lent": 2 * patience} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newControllers(1)
				p := &place{of: s}
				if err := p.take(errand{ctx: t.Context()}); err != nil {
					t.Fatal(err)
				}
				err := contain(zerolog.Nop(), "asking", func() error {
					p.whileAsking(t.Context(), func() {
						time.Sleep(after)
						panic("a bug")
					})
					return nil
				})
				if err == nil {
					t.Error("the bug is not told of")
				}
				p.leave()
				time.Sleep(2 * patience)
				if !s.places.TryAcquire(1) || !s.lent.TryAcquire(waitersPerPlace) {
					t.Error("a place is missing")
				}
				if s.places.TryAcquire(1) {
					t.Error("there is a place too many")
				}
			})
		})
	}
}
