package conductor

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

func (t *task) notifyConsole(ctx context.Context, action, status string) {
	t.notify(ctx, "baremetal.node."+action+"."+status, "NodePayload", nil)
}

// restoreConsole starts the console of a node that has one enabled, since it was stopped or its worker has changed. A console
// that cannot be started is disabled, and said to be so in the words of failure.
func (t *task) restoreConsole(ctx context.Context, failure, history string) {
	if !t.Node.ConsoleEnabled {
		return
	}
	t.notifyConsole(ctx, "console_restore", "start")
	err := t.Hardware.Console.StartConsole(ctx, t.Task)
	if err == nil {
		t.notifyConsole(ctx, "console_restore", "end")
		return
	}
	text := fmt.Sprintf(failure, t.Node.UUID, err)
	if lost(err) || t.cutShort(ctx, text) {
		return
	}
	t.Log.Error().Err(err).Msg("The console could not be started and is disabled")
	if history != "" {
		t.record(ctx, history, text)
	}
	t.Node.LastError, t.Node.ConsoleEnabled = text, false
	if t.saveOrLose(ctx) == nil {
		t.notifyConsole(ctx, "console_restore", "error")
	}
}

// stopConsole keeps the next tenant from reading along. It stays enabled, for the next deployment to start it.
func (t *task) stopConsole(ctx context.Context) error {
	if !t.Node.ConsoleEnabled {
		return nil
	}
	t.notifyConsole(ctx, "console_stop", "start")
	if err := t.Hardware.Console.StopConsole(ctx, t.Task); err != nil {
		t.notifyConsole(ctx, "console_stop", "error")
		return err
	}
	t.notifyConsole(ctx, "console_stop", "end")
	return nil
}

// closeConsole ends the console of a node that is about to be deleted. One that cannot be ended is no reason to keep the node.
func (t *task) closeConsole(ctx context.Context) error {
	if !t.Node.ConsoleEnabled {
		return nil
	}
	t.notifyConsole(ctx, "console_set", "start")
	if err := t.loadHardware(); err != nil {
		t.notifyConsole(ctx, "console_set", "error")
		return err
	}
	acting, done := t.c.acting(ctx)
	defer done()
	if err := t.Hardware.Console.StopConsole(acting, t.Task); err != nil {
		t.Log.Error().Err(err).Msg("The console of a node that is deleted could not be stopped")
		t.notifyConsole(ctx, "console_set", "error")
		return nil
	}
	t.Node.ConsoleEnabled = false
	t.notifyConsole(ctx, "console_set", "end")
	return nil
}

// The texts of consoles that do not start.
const (
	consoleAtStart = "Failed to start console of node %s while starting the conductor, so changing the console_enabled status " +
		"to False, error: %s"
	consoleInDeploy   = "Failed to start console while deploying the node %s: %s."
	consoleAtTakeOver = "Failed to start console while taking over the node %s: %s."
)

// startConsoles starts the consoles of this worker's nodes, one after the other, when the worker starts.
func (c *Conductor) startConsoles(ctx context.Context) {
	nodes, err := c.owned(ctx, sql.Filter{ConsoleEnabled: pointer(true)})
	if err != nil {
		c.log.Error().Err(err).Msg("Looking for consoles to start failed")
		return
	}
	c.eachLocked(ctx, nodes, 0, "start console", func(ctx context.Context, t *task) error {
		t.restoreConsole(ctx, consoleAtStart, historyStartFailure)
		return nil
	})
	if len(nodes) > 0 {
		c.log.Info().Int("nodes", len(nodes)).Msg("The consoles of this conductor's nodes were started")
	}
}

// containersTimeout bounds the ending of console containers, which takes programs of theirs.
const containersTimeout = time.Minute

// stopContainers ends the containers of graphical consoles. The start does so, because it starts those anew that nodes have enabled,
// and the stop, because whoever has the nodes next starts his own.
func (c *Conductor) stopContainers(ctx context.Context) error {
	if c.consoles == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, containersTimeout)
	defer cancel()
	if err := c.consoles.StopAll(ctx); err != nil {
		return fmt.Errorf("stopping console containers: %w", err)
	}
	return nil
}

// closeExpiredConsoles closes the consoles that are open for longer than they may be.
func (c *Conductor) closeExpiredConsoles(ctx context.Context) error {
	nodes, err := c.owned(ctx, sql.Filter{ConsoleEnabled: pointer(true)}, "console_interface", "driver_internal_info")
	if err != nil {
		return err
	}
	expired := slices.DeleteFunc(nodes, func(n *store.Node) bool { return !c.consoleExpired(n) })
	c.eachLocked(ctx, expired, 0, "checking active console sessions", func(ctx context.Context, t *task) error {
		if !t.Node.ConsoleEnabled || !c.consoleExpired(t.Node) {
			return nil // somebody was faster
		}
		t.Log.Info().Msg("The time of the node's console is over, and it is closed")
		return t.Hardware.Console.StopConsole(ctx, t.Task)
	})
	return nil
}

func (c *Conductor) consoleExpired(n *store.Node) bool {
	console, ok := c.hardware.Interface(n, drivers.TypeConsole).(drivers.ExpiringConsole)
	return ok && console.Expired(n)
}
