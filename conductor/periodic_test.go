package conductor

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// Periodic work comes again a spacing after it ended, failures or not, and stays away while the worker may not act.
func TestPeriodicWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Conductor{cfg: Config{HeartbeatTimeout: time.Hour}, log: zerolog.Nop()}
		began := time.Now()
		c.uptime = func() time.Duration { return time.Since(began) }
		c.lease.renew(0)
		var at []time.Duration
		ctx, stop := context.WithCancel(t.Context())
		c.workCtx = ctx
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			c.repeat(ctx, periodic{"a test", time.Minute, func(context.Context) error {
				at = append(at, time.Since(began))
				time.Sleep(30 * time.Second)
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

func TestASpacingOfZeroSwitchesWorkOff(t *testing.T) {
	c := &Conductor{cfg: Config{CheckProvisionStateInterval: time.Hour}}
	count := func() (named int) {
		for range c.periodics() {
			named++
		}
		return named
	}
	without := count()
	c.cfg.DeployCallbackTimeout, c.cfg.CleanCallbackTimeout = time.Hour, time.Hour
	equal(t, "more with time-outs", count()-without, 2)
	ctx, stop := context.WithCancel(t.Context())
	c.cfg.CheckProvisionStateInterval = 0
	c.runPeriodics(ctx)
	c.background.Wait()
	stop()
}
