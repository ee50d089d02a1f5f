package conductor

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/store"
)

// Nothing is done by two goroutines beside each other.
func TestPeriodicWorkIsListedOnce(t *testing.T) {
	listed := map[string]bool{}
	for _, p := range new(Conductor).periodics() {
		if listed[p.name] {
			t.Errorf("%s is there twice", p.name)
		}
		listed[p.name] = true
	}
}

// Periodic work comes again a spacing after it ended, failures and bugs or not, and stays away while the worker may not act.
func TestPeriodicWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Conductor{cfg: Config{HeartbeatTimeout: time.Hour}, log: zerolog.Nop()}
		c.options.Store(&Live{SyncLocalStateInterval: time.Minute})
		began := time.Now()
		c.uptime = func() time.Duration { return time.Since(began) }
		c.lease.renew(0)
		var at []time.Duration
		ctx, stop := context.WithCancel(t.Context())
		c.workCtx = ctx
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			c.repeat(ctx, periodic{name: "a test", spacing: func(o *Live) time.Duration { return o.SyncLocalStateInterval }, run: func(context.Context) error {
				at = append(at, time.Since(began))
				time.Sleep(30 * time.Second)
				if len(at) == 2 {
					panic("a bug")
				}
				return errors.New("no matter")
			}})
		}()
		time.Sleep(200 * time.Second)
		synctest.Wait()
		equal(t, "runs", len(at), 2)
		equal(t, "first run", at[0], time.Minute)
		equal(t, "second run", at[1], 150*time.Second)
		c.lease.renew(c.uptime() - time.Hour)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		equal(t, "runs without a lease", len(at), 2)
		c.lease.renew(c.uptime())
		time.Sleep(61 * time.Second)
		synctest.Wait()
		equal(t, "runs with a lease again", len(at), 3)
		stop()
		<-ended
	})
}

// Each work is done by one goroutine.
func TestPeriodicWorksAreDistinct(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range (&Conductor{}).periodics() {
		if seen[p.name] {
			t.Errorf("%q is done twice", p.name)
		}
		seen[p.name] = true
	}
}

// A spacing of zero switches work off, another one that is reloaded counts from when the work last ended.
func TestSpacingsAreReloaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Conductor{cfg: Config{HeartbeatTimeout: time.Hour}, log: zerolog.Nop(), pool: newPool(1, 0), workCtx: t.Context()}
		began := time.Now()
		c.uptime = func() time.Duration { return time.Since(began) }
		c.options.Store(&Live{})
		var at []time.Duration
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			c.repeat(ctx, periodic{name: "a test", spacing: func(o *Live) time.Duration { return o.SyncLocalStateInterval }, run: func(context.Context) error {
				at = append(at, time.Since(began))
				return nil
			}})
		}()
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		equal(t, "runs while it is off", len(at), 0)
		c.Reload(Live{SyncLocalStateInterval: 40 * time.Minute})
		time.Sleep(11 * time.Minute)
		synctest.Wait()
		equal(t, "runs once it is on", len(at), 1)
		equal(t, "first run", at[0], 40*time.Minute)
		c.Reload(Live{SyncLocalStateInterval: time.Minute})
		time.Sleep(30 * time.Second)
		synctest.Wait()
		equal(t, "runs with a shorter spacing", len(at), 2)
		stop()
		<-ended
	})
}

func TestCallbackTimeoutsOfZeroFailNobody(t *testing.T) {
	w := startWorker(t, nil)
	n := w.waiting(t, store.DeployWait, nil)
	w.exec(t, "UPDATE nodes SET provision_updated_at = '2001-01-01 00:00:00'")
	if err := errors.Join(w.failSilentDeploys(t.Context()), w.failSilentCleans(t.Context())); err != nil {
		t.Fatal(err)
	}
	equal(t, "state", w.row(t, n.UUID).ProvisionState, store.DeployWait)
}
