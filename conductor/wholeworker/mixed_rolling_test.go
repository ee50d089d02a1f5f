package wholeworker

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
)

// TestMixedRolling rolls a cluster of two Python conductors over and back, one host at a time, as docs/migration.md says.
// Machines are deployed, torn down and cleaned all the time, and none of it fails.
func TestMixedRolling(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	hosts := []*worker{c.host(t, "host-1", "", nil), c.host(t, "host-2", "", nil)}
	for _, h := range hosts {
		h.run(t, python)
	}
	const count = 4
	u := c.employ(t, count)
	for _, step := range []struct {
		host *worker
		kind kind
	}{
		{hosts[0], ironmaster}, {hosts[1], ironmaster}, // over
		{hosts[0], python}, {hosts[1], python}, // and back
	} {
		u.awaitCycles(t, count)
		step.host.stop(t)
		step.host.run(t, step.kind)
		c.members(t, hosts...)
	}
	u.awaitCycles(t, count)
	u.end(t)
}

// users deploy machines and tear them down, over and over.
type users struct {
	stop context.CancelFunc
	done chan error

	mu     sync.Mutex
	cycles map[string]int
	failed error
}

func (c *cluster) employ(t *testing.T, count int) *users {
	t.Helper()
	machines := c.openRoom(t, room.Config{Seed: 1, Count: count}).Machines()
	instance := map[string]any{"image_source": c.web.put("rolling.raw", serveFile(c.img.raw)), "image_disk_format": "raw",
		"image_checksum": c.img.sum}
	working, stop := context.WithCancel(t.Context())
	u := &users{stop: stop, done: make(chan error, 1), cycles: map[string]int{}}
	go func() {
		u.done <- each(t.Context(), count, machines, func(ctx context.Context, _ int, machine *room.Machine) error {
			err := u.work(ctx, working, c, machine, instance)
			u.mu.Lock()
			defer u.mu.Unlock()
			u.failed = cmp.Or(u.failed, err)
			return err
		})
	}()
	return u
}

// work enrols a machine and uses it until working ends, to the end of a cycle.
func (u *users) work(ctx, working context.Context, c *cluster, machine *room.Machine, instance map[string]any) error {
	node, err := c.api.enrol(ctx, machine.Info(), c.ramdisk, nil)
	if err != nil {
		return err
	}
	u.count(node, 0)
	if err := c.api.reach(ctx, node, "manage", "manageable"); err != nil {
		return err
	}
	if err := c.api.reach(ctx, node, "provide", "available"); err != nil {
		return err
	}
	for working.Err() == nil {
		if err := c.api.patch(ctx, node, set("/instance_info", instance)); err != nil {
			return err
		}
		if err := c.api.reach(ctx, node, "active", "active"); err != nil {
			return err
		}
		if err := checkDisk(machine, c.img); err != nil {
			return err
		}
		if err := c.api.reach(ctx, node, "deleted", "available"); err != nil {
			return err
		}
		u.count(node, 1)
	}
	return nil
}

func (u *users) count(node string, more int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.cycles[node] += more
}

// awaitCycles waits until every user has come to the end of another cycle.
func (u *users) awaitCycles(t *testing.T, count int) {
	t.Helper()
	u.mu.Lock()
	before := maps.Clone(u.cycles)
	u.mu.Unlock()
	// A cycle is cleaning, deployment and tear-down, and another one may be under way. A user who is let down is told at once.
	within(t, 5*settleTime, "every machine is deployed and torn down once more", func() error {
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.failed != nil {
			t.Fatal(u.failed)
		}
		if len(u.cycles) < count {
			return errors.New("not all are enrolled")
		}
		for node, n := range u.cycles {
			if n == before[node] {
				return errors.New("not yet " + node)
			}
		}
		return nil
	})
}

func (u *users) end(t *testing.T) {
	t.Helper()
	u.stop()
	must(t, <-u.done)
	t.Logf("cycles by machine: %v", slices.Collect(maps.Values(u.cycles)))
}
