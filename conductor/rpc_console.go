package conductor

import (
	"context"
	"fmt"

	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

type consoleModeArgs struct {
	NodeID  string `json:"node_id"`
	Enabled any    `json:"enabled"`
}

// setConsoleMode starts or stops a node's console in the background, unless it is so already.
func (c *Conductor) setConsoleMode(ctx context.Context, rq oslo.Context, a consoleModeArgs) (any, error) {
	return nil, c.readNode(ctx, rq, a.NodeID, "setting console mode", func(ctx context.Context, t *task) error {
		if err := t.Hardware.Console.Validate(ctx, t.Task); err != nil {
			return err
		}
		if equalsBool(a.Enabled, t.Node.ConsoleEnabled) {
			t.Log.Info().Bool("enabled", t.Node.ConsoleEnabled).Msg("The console is so already")
			return nil
		}
		if err := t.upgrade(ctx, "setting console mode", 0); err != nil {
			return err
		}
		t.Node.LastError = ""
		if err := t.save(ctx); err != nil {
			return err
		}
		// A console that is started or stopped twice is as if it were once.
		t.holdsCall = true
		t.after(func(ctx context.Context, t *task) { t.setConsole(ctx, store.PythonTrue(a.Enabled)) }, t.noWorker)
		return nil
	})
}

func (t *task) setConsole(ctx context.Context, enabled bool) {
	t.notifyConsole(ctx, "console_set", "start")
	act, doing := t.Hardware.Console.StopConsole, "disabling"
	if enabled {
		act, doing = t.Hardware.Console.StartConsole, "enabling"
	}
	// gofail: var consoleBeforeSet struct{}
	err := act(ctx, t.Task)
	// gofail: var consoleSet struct{}
	if err != nil {
		text := fmt.Sprintf("Error %s the console on node %s. Reason: %s", doing, t.Node.UUID, err)
		if lost(err) || t.cutShort(ctx, text) {
			return
		}
		t.Log.Error().Err(err).Msg("Setting the console's mode failed")
		t.record(ctx, historyConsole, text)
		if t.saveOrLose(ctx) == nil {
			t.notifyConsole(ctx, "console_set", "error")
		}
		return
	}
	t.Node.ConsoleEnabled, t.Node.LastError = enabled, ""
	if t.saveOrLose(ctx) == nil {
		t.notifyConsole(ctx, "console_set", "end")
	}
}

func (c *Conductor) getConsoleInformation(ctx context.Context, rq oslo.Context, a nodeArgs) (any, error) {
	answer := map[string]any{}
	err := c.readNode(ctx, rq, a.NodeID, "getting console information", func(ctx context.Context, t *task) error {
		if !t.Node.ConsoleEnabled {
			return store.Errorf(store.NodeConsoleNotEnabled, "Console access is not enabled on node %s", t.Node.UUID)
		}
		if err := t.Hardware.Console.Validate(ctx, t.Task); err != nil {
			return err
		}
		ctx, done := c.acting(ctx)
		defer done()
		access, err := t.Hardware.Console.ConsoleAccess(ctx, t.Task)
		if access.Type != "" {
			answer["type"], answer["url"] = access.Type, access.URL
		}
		return err
	})
	return answer, err
}
