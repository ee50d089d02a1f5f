package conductor

import (
	"context"
	"errors"
	"fmt"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/inspection/rules"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

type findingsArgs struct {
	NodeID     string     `json:"node_id"`
	Inventory  store.Dict `json:"inventory"`
	PluginData store.Dict `json:"plugin_data,omitempty"`
}

// findings are what the ramdisk of an inspection tells.
type findings struct{ inventory, pluginData store.Dict }

// The keys under which the worker keeps findings while it works on them: as two texts, in which numbers stay what they are. First as
// they came, then as the hooks and inspection rules left them.
const (
	journalFindings = "inspection.findings"
	journalRuled    = "inspection.ruled"
)

// How failures of ironic's function for findings read.
const (
	continuing   = "continue_inspection"
	finishFailed = "Failed to finish inspection: "
)

func (t *task) keepFindings(ctx context.Context, key string, f findings) error {
	inventory, err := store.AppendJSON(nil, f.inventory)
	if err != nil {
		return fmt.Errorf("encoding an inventory: %w", err)
	}
	pluginData, err := store.AppendJSON(nil, f.pluginData)
	if err != nil {
		return fmt.Errorf("encoding plugin data: %w", err)
	}
	return t.c.Journal(t.Task).Put(ctx, key, []string{string(inventory), string(pluginData)})
}

// keptFindings reads back what keepFindings kept, nil when there is nothing.
func (t *task) keptFindings(ctx context.Context, key string) (*findings, error) {
	var texts []string
	if found, err := t.c.Journal(t.Task).Get(ctx, key, &texts); err != nil || !found || len(texts) != 2 {
		return nil, err
	}
	inventory, err := store.ParseDict([]byte(texts[0]))
	if err != nil {
		return nil, fmt.Errorf("reading an inventory back: %w", err)
	}
	pluginData, err := store.ParseDict([]byte(texts[1]))
	if err != nil {
		return nil, fmt.Errorf("reading plugin data back: %w", err)
	}
	return &findings{orEmpty(inventory), orEmpty(pluginData)}, nil
}

// continueInspection takes what a ramdisk found. Whoever sends it for a node that does not wait for that learns nothing of the node.
//
// Crash windows: until the row is moved, the request is in the inbox and is run again. From then on the findings are in the
// journal, and goOnInspecting goes on with them; another worker, which has no such journal, inspects anew.
func (c *Conductor) continueInspection(ctx context.Context, rq oslo.Context, a findingsArgs) (any, error) {
	f := findings{orEmpty(a.Inventory), orEmpty(a.PluginData)}
	return nil, c.withNode(ctx, rq, a.NodeID, lockMode{purpose: "continue inspection"},
		func(ctx context.Context, t *task) error {
			if t.Node.ProvisionState == store.Enroll && c.live().AutoDiscovery {
				t.discover(f)
				return nil
			}
			if t.Node.ProvisionState != store.InspectWait {
				t.Log.Error().Str("state", t.Node.ProvisionState).Msg("Findings of an inspection came for a node that waits for none")
				return store.Errorf(store.NotFound, "Resource could not be found.")
			}
			if err := t.keepFindings(ctx, journalFindings, f); err != nil {
				return err
			}
			// gofail: var findingsKept struct{}
			t.note(store.Dict{markFound: true, markRuled: nil, markLeft: nil})
			return t.processEvent(ctx, eventResume, eventOptions{
				background: func(ctx context.Context, t *task) { t.takeFindings(ctx, f) },
				undo:       func() { t.note(store.Dict{markFound: nil}) },
			})
		})
}

func orEmpty(d store.Dict) store.Dict {
	if d == nil {
		return store.Dict{}
	}
	return d
}

// goOnInspecting goes on with an inspection that was cut short: with what the ramdisk found, when this worker has it.
func (t *task) goOnInspecting(ctx context.Context) {
	if m := mark(t.Node); m.Bool(markFound, false) && !t.Foreign {
		key := journalFindings
		if m.Bool(markRuled, false) {
			key = journalRuled
		}
		f, err := t.keptFindings(ctx, key)
		if err != nil {
			t.Log.Error().Err(err).Msg("What the ramdisk found could not be read back; the node is inspected anew")
		}
		if f != nil {
			t.takeFindings(ctx, *f)
			return
		}
	}
	t.inspect(ctx)
}

// inspectAnew boots the ramdisk of a node that waits for it anew: it may have looked in vain for what a worker that was away serves,
// and would say nothing until its time is over.
func (t *task) inspectAnew(ctx context.Context) {
	if t.Node.Maintenance {
		return
	}
	if d, ok := t.Hardware.Inspect.(drivers.Delegated); ok && t.standsWithDelegate(ctx, d) {
		return
	}
	outcome, err := t.Hardware.Inspect.InspectHardware(ctx, t.Task)
	switch {
	case err != nil:
		t.inspectionFailed(ctx, err)
	case outcome == drivers.Done:
		if err := t.processEvent(ctx, eventDone, eventOptions{flow: flowInspect}); err != nil {
			t.inspectionFailed(ctx, err)
		}
	default:
		if err := t.delegate(ctx); err != nil {
			t.inspectionFailed(ctx, err)
			return
		}
		_ = t.saveOrLose(ctx)
	}
}

// takeFindings makes of the findings what the inspect interface and inspection rules make of them, and stores them. The node is in
// "inspecting".
func (t *task) takeFindings(ctx context.Context, f findings) {
	if _, ok := t.Hardware.Inspect.(drivers.Delegated); ok {
		t.leaveToDelegate(ctx)
		return
	}
	var left *drivers.RamdiskLeft
	err := t.useFindings(ctx, f)
	// gofail: var findingsApplied struct{}
	if err == nil || errors.As(err, &left) {
		err = t.storeFindings(ctx, f)
	}
	// gofail: var findingsStored struct{}
	switch {
	case lost(err) || err != nil && t.cutShort(ctx, err.Error()):
	case err != nil:
		ctx, cancel := lingering(ctx)
		defer cancel()
		t.endInspection(ctx, finishFailed+err.Error(), continuing, err.Error())
	case left != nil:
		ctx, cancel := lingering(ctx)
		defer cancel()
		t.inspectionFailedQuietly(ctx, left.Error())
	default:
		// The machine has power, without which some do not tell the firmware of their network cards.
		if t.c.cfg.Release >= messaging.V2026_1 {
			t.cacheFirmware(ctx)
		}
		if err := t.processEvent(ctx, eventDone, eventOptions{flow: flowInspect}); err != nil {
			t.inspectionFailed(ctx, err)
		}
	}
	if !store.Unstable(t.Node.ProvisionState) {
		t.forgetFindings(ctx)
	}
}

// useFindings has the inspect interface and then inspection rules work on the findings, which both change.
//
// Crash windows: what the interface does may be done again. Rules may not, for they add to what is there; so one write of the row
// holds all that they change of the node, and the mark that they are done, with what was wrong with the ramdisk's end. What they made
// of the findings is in the journal by then.
func (t *task) useFindings(ctx context.Context, f findings) error {
	if m := mark(t.Node); m.Bool(markRuled, false) {
		return ramdiskLeft(m)
	}
	if t.c.cfg.Release >= messaging.V2026_1 {
		t.Node.DriverInternalInfo[keyAgentHeartbeat] = t.c.now().UTC().Format(isoMicro)
		if err := t.saveOrLose(ctx); err != nil {
			return err
		}
	}
	err := t.Hardware.Inspect.ContinueInspection(ctx, t.Task, f.inventory, f.pluginData)
	var left *drivers.RamdiskLeft
	if t.c.rules == nil || err != nil && !errors.As(err, &left) {
		return err
	}
	if ruleErr := t.c.rules.Apply(ctx, t.Task, f.inventory, f.pluginData, rules.PhaseMain); ruleErr != nil {
		return ruleErr
	}
	// The ramdisk's logs are long, and nobody asks for them any more.
	delete(f.pluginData, "logs")
	if keepErr := t.keepFindings(ctx, journalRuled, f); keepErr != nil {
		return keepErr
	}
	// gofail: var findingsRuled struct{}
	t.note(store.Dict{markRuled: true})
	if left != nil {
		t.note(store.Dict{markLeft: anyTexts(left.Problems)})
	}
	if saveErr := t.saveOrLose(ctx); saveErr != nil {
		return saveErr
	}
	return err
}

// ramdiskLeft is what a mark tells of a ramdisk that could not be taken away, nil when there was none.
func ramdiskLeft(m store.Dict) error {
	var problems []string
	for _, one := range m.List(markLeft) {
		if text, ok := one.(string); ok {
			problems = append(problems, text)
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return &drivers.RamdiskLeft{Problems: problems}
}

// discover takes the findings of a machine that ironic-api did not know, and has enrolled for them. The node stays in "enroll".
//
// Crash window: until all is done the request is in the inbox, and is run again. It goes on behind the inspection rules where this
// worker had applied them.
func (t *task) discover(f findings) {
	t.holdsCall = true
	t.after(func(ctx context.Context, t *task) {
		kept, err := t.keptFindings(ctx, journalRuled)
		switch {
		case err != nil || kept == nil:
			t.note(store.Dict{markRuled: nil, markLeft: nil})
		case mark(t.Node).Bool(markRuled, false):
			f = *kept
		}
		var left *drivers.RamdiskLeft
		err = t.useFindings(ctx, f)
		if err == nil || errors.As(err, &left) {
			err = t.storeFindings(ctx, f)
		}
		switch {
		case lost(err) || err != nil && t.cutShort(ctx, err.Error()):
			return
		case err != nil:
			t.discoveryFailed(ctx, finishFailed+err.Error())
			t.restoreError(continuing, err.Error())
		case left != nil:
			t.discoveryFailed(ctx, left.Error())
		default:
			t.Log.Info().Msg("A machine was discovered")
		}
		t.note(store.Dict{markRuled: nil, markLeft: nil})
		_ = t.saveOrLose(ctx)
		t.forgetFindings(ctx)
	}, func(ctx context.Context, err error) { t.undoProvision(ctx, moment{State: t.Node.ProvisionState}, err) })
}

func (t *task) discoveryFailed(ctx context.Context, text string) {
	ctx, cancel := lingering(ctx)
	defer cancel()
	t.Log.Error().Str("error", text).Msg("A machine was discovered, and its findings could not be used")
	t.leaveInspection(ctx, text)
}

// storeFindings keeps the findings for users. The ramdisk's logs are not part of them: they are long, and kept as files.
func (t *task) storeFindings(ctx context.Context, f findings) error {
	delete(f.pluginData, "logs")
	if !t.c.cfg.StoreInventory {
		return nil
	}
	return t.c.db.SaveInventory(ctx, t.Node.ID, f.inventory, f.pluginData)
}

// forgetFindings takes the findings, which are long, out of the journal.
func (t *task) forgetFindings(ctx context.Context) {
	for _, key := range []string{journalFindings, journalRuled} {
		if err := t.c.Journal(t.Task).Put(ctx, key, nil); err != nil {
			t.Log.Warn().Err(err).Msg("What an inspection found stays in the journal until the node's next inspection")
		}
	}
}
