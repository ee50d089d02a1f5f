package wholeworker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
)

const (
	crowd = 300
	// hands is how many requests a client of the API has under way while it prepares nodes.
	hands     = 8
	crowdTime = 4 * time.Minute
	// pooled is by how much goroutines and descriptors may have grown: each connection of the database's pool has one.
	pooled = 6
)

// TestCrowd orders 300 deployments at once from a worker with the default pool, of an image that the agents fetch and of one
// that the worker serves, and looks whether it leaves anything.
func TestCrowd(t *testing.T) {
	w := start(t, setup{database: "mariadb", extra: options{
		"api": {"api_workers": "2", "ramdisk_heartbeat_timeout": "40"},
		// Ironic refuses more than 250 deployments and 50 cleanings at once unless told otherwise. Power sync would add noise
		// to what is counted.
		"conductor": {"max_concurrent_deploy": "1000", "max_concurrent_clean": "1000", "sync_power_state_interval": "0"},
		"redfish":   {"connect_timeout": "30", "read_timeout": "60"},
		"DEFAULT":   {"debug": "false"},
	}})
	machines := w.openRoom(t, room.Config{Seed: 1, Count: crowd, DiskSize: 16 * mebibyte,
		HeartbeatSpacing: 2 * time.Second}).Machines()
	img := makeImage(t, w.wares, 8, 1)
	web := startWebServer(t)

	before, err := w.metrics(t.Context())
	must(t, err)
	began := time.Now()
	nodes := make([]string, crowd)
	must(t, each(t.Context(), hands, machines, func(ctx context.Context, i int, m *room.Machine) (err error) {
		nodes[i], err = w.api.enrol(ctx, m.Info(), w.ramdisk, map[string]any{"automated_clean": false})
		return err
	}))
	w.orderAll(t, hands, nodes, "manage", "manageable")
	w.orderAll(t, hands, nodes, "provide", "available")
	t.Logf("%d nodes are available after %s", crowd, time.Since(began).Round(time.Second))

	var fetched atomic.Int32
	for round, instance := range []map[string]any{
		{"image_source": web.put("disk.raw", serveFile(img.raw)), "image_disk_format": "raw", "image_checksum": img.sum},
		{"image_source": web.put("disk.qcow2", counted(serveFile(img.qcow2), &fetched)), "image_checksum": img.qcow2Sum,
			"image_download_source": "local"},
	} {
		must(t, each(t.Context(), hands, nodes, func(ctx context.Context, _ int, uuid string) error {
			return w.api.patch(ctx, uuid, set("/instance_info", instance))
		}))
		took := w.orderAll(t, crowd, nodes, "active", "active")
		peak, err := peakMemory(w.conductor.PID())
		must(t, err)
		t.Logf("%d deployments at once took %s; the conductor's memory peaked at %d MiB", crowd, took, peak)
		must(t, each(t.Context(), hands, machines, func(ctx context.Context, _ int, m *room.Machine) error {
			return checkCrowdMember(m, img, round+1)
		}))
		w.checkNothingHeld(t)
		took = w.orderAll(t, crowd, nodes, "deleted", "available")
		t.Logf("%d tear-downs at once took %s", crowd, took)
	}
	if n := fetched.Load(); n != 1 {
		t.Errorf("the image that the worker serves was fetched %d times", n)
	}
	w.checkNothingHeld(t)
	w.checkNothingLeft(t, before)
}

// orderAll asks for a change of provision state of all nodes, so many requests at a time, and waits for its end.
func (w *world) orderAll(t *testing.T, atOnce int, nodes []string, verb, state string) time.Duration {
	t.Helper()
	began := time.Now()
	must(t, each(t.Context(), atOnce, nodes, func(ctx context.Context, _ int, uuid string) error {
		return w.api.provision(ctx, uuid, verb)
	}))
	w.awaitCrowd(t, state)
	return time.Since(began).Round(100 * time.Millisecond)
}

// each calls do for every item, so many at a time.
func each[T any](ctx context.Context, atOnce int, items []T, do func(context.Context, int, T) error) error {
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(atOnce)
	for i, item := range items {
		all.Go(func() error { return do(ctx, i, item) })
	}
	return all.Wait()
}

// awaitCrowd waits until all nodes are in a state, and fails when one cannot get there any more.
func (w *world) awaitCrowd(t *testing.T, state string) {
	t.Helper()
	deadline := time.Now().Add(crowdTime)
	for {
		nodes, err := w.api.all(t.Context())
		must(t, err)
		counts := map[string]int{}
		for _, n := range nodes {
			counts[n.ProvisionState]++
			if n.LastError != "" && !slices.Contains(transient, n.ProvisionState) {
				t.Fatalf("node %s ended in %q: %s", n.Name, n.ProvisionState, n.LastError)
			}
		}
		if counts[state] == crowd {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not all nodes became %s within %s: %v", state, crowdTime, counts)
		}
		time.Sleep(time.Second)
	}
}

func checkCrowdMember(m *room.Machine, img diskImage, writes int) error {
	got := m.Snapshot()
	if got.Booted != room.BootDisk || got.Writes != writes || got.Media != "" {
		return fmt.Errorf("%s is %+v", m.Info().Name, got)
	}
	sum, err := m.DiskSHA256(img.size)
	if err == nil && sum != img.sum {
		err = errors.New(m.Info().Name + ": the disk differs from the image")
	}
	return err
}

// checkNothingLeft waits until the worker has as few goroutines and descriptors as before, apart from connections to the
// database, of which its pool keeps five. Those to BMCs stay open for a minute.
func (w *world) checkNothingLeft(t *testing.T, before map[string]float64) {
	t.Helper()
	eventually(t, "the worker is as it was before", func() error {
		now, err := w.metrics(t.Context())
		if err != nil {
			return err
		}
		if busy := now["ironmaster_workers_busy"] + now["ironmaster_locks_held"] + now["ironmaster_outbox_events"]; busy > 0 {
			return fmt.Errorf("workers busy, locks held and events waiting: %v", busy)
		}
		for _, name := range []string{"go_goroutines", "process_open_fds"} {
			if now[name] > before[name]+pooled {
				return fmt.Errorf("%s is %v, it was %v", name, now[name], before[name])
			}
		}
		t.Logf("goroutines %v, then %v; descriptors %v, then %v", before["go_goroutines"], now["go_goroutines"],
			before["process_open_fds"], now["process_open_fds"])
		return nil
	})
}
