package conductor

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// Inspections that a service carries out (drivers.Delegated) are in "inspect wait" meanwhile. The service locks the node through
// ironic-api, so it is spoken to while nobody holds it.
//
// Crash windows: that the service is still to be told to begin is in the journal before the node waits, and leaves it when it was told.
// What a ramdisk told ironic-api stays there until the service has taken it. Both may be said twice. That an inspection is over is
// asked again until the row says so.

// journalToBegin tells that the service has not been told to begin yet.
const journalToBegin = "inspection.begin"

// delegate leaves the node to the service that inspects it, where it has one, as soon as the node is free.
func (t *task) delegate(ctx context.Context) error {
	d, ok := t.Hardware.Inspect.(drivers.Delegated)
	if !ok {
		return nil
	}
	t.forgetFindings(ctx)
	if err := t.keepDue(ctx, journalToBegin, d.TakesNode(t.Node)); err != nil {
		return err
	}
	t.tendOnceFree()
	return nil
}

func (t *task) keepDue(ctx context.Context, key string, due bool) error {
	if !due {
		return t.c.Journal(t.Task).Put(ctx, key, nil)
	}
	return t.c.Journal(t.Task).Put(ctx, key, true)
}

func (t *task) tendOnceFree() {
	node := t.Node.UUID
	t.onceFree = func(ctx context.Context) { t.c.tendInspection(ctx, node) }
}

// leaveToDelegate has the service go on with findings, which are in the journal.
func (t *task) leaveToDelegate(ctx context.Context) {
	t.tendOnceFree()
	if err := t.processEvent(ctx, eventWait, eventOptions{}); err != nil && !lost(err) {
		t.inspectionFailed(ctx, err)
	}
}

// standsWithDelegate tells that an inspection whose worker was away goes on by itself. It does not where its machine may have looked in
// vain for what this worker serves, and where nobody can tell whether the service was told to begin.
func (t *task) standsWithDelegate(ctx context.Context, d drivers.Delegated) bool {
	t.tendOnceFree()
	if due, err := t.dueWithDelegate(ctx); err != nil || due != dueNothing {
		return err == nil
	}
	s, err := d.Standing(ctx, t.Task)
	switch {
	case err != nil:
		t.Log.Warn().Err(err).Msg("How the inspection stands can't be told; it is asked again")
		return true
	case !s.Known:
		return false
	case s.Over:
		return !t.Foreign
	}
	return d.TakesNode(t.Node) || !s.Awaited
}

// followInspections asks the services about the nodes that they inspect.
func (c *Conductor) followInspections(ctx context.Context) error {
	nodes, err := c.owned(ctx, sql.Filter{Reserved: pointer(false), ProvisionStates: []string{store.InspectWait},
		OrderBy: "provision_updated_at"}, "provision_state", "inspect_interface")
	if err != nil {
		return err
	}
	nodes = slices.DeleteFunc(nodes, func(n *store.Node) bool {
		_, delegated := c.hardware.Interface(n, drivers.TypeInspect).(drivers.Delegated)
		return !delegated
	})
	var some errgroup.Group
	some.SetLimit(resumesAtOnce)
	for _, n := range nodes {
		some.Go(func() error {
			c.tendInspection(ctx, n.UUID)
			return nil
		})
	}
	return some.Wait()
}

// tendInspection does what is due with the service that inspects a node, and ends the inspection when it is over.
func (c *Conductor) tendInspection(ctx context.Context, node string) {
	if _, already := c.tended.LoadOrStore(node, true); already {
		return
	}
	defer c.tended.Delete(node)
	var end func(context.Context, *task)
	err := c.readNode(ctx, oslo.AdminContext(), node, "checking hardware inspection status", func(ctx context.Context, t *task) (err error) {
		d, ok := t.Hardware.Inspect.(drivers.Delegated)
		if !ok || t.Node.ProvisionState != store.InspectWait {
			return nil
		}
		end, err = t.attendDelegate(ctx, d)
		return err
	})
	if err == nil && end != nil {
		err = c.withNode(ctx, oslo.AdminContext(), node, lockMode{purpose: "ending an inspection"}, func(_ context.Context, t *task) error {
			if t.Node.ProvisionState == store.InspectWait {
				t.after(end, nil)
			}
			return nil
		})
	}
	switch store.KindOf(err) {
	case store.NodeLocked, store.NodeNotFound:
		return
	}
	if err != nil && ctx.Err() == nil {
		c.log.Warn().Err(err).Str("node", node).Msg("The service that inspects the node is asked again later")
	}
}

// due is what is still to be said to the service that inspects a node.
type due int

const (
	dueNothing due = iota
	dueBegin
	dueFindings
)

func (t *task) dueWithDelegate(ctx context.Context) (due, error) {
	begin := false
	if _, err := t.c.Journal(t.Task).Get(ctx, journalToBegin, &begin); err != nil || begin {
		return dueBegin, err
	}
	f, err := t.keptFindings(ctx, journalFindings)
	if err != nil || f == nil {
		return dueNothing, err
	}
	return dueFindings, nil
}

// attendDelegate speaks with the service. end is what follows for the node, nil while its inspection goes on.
func (t *task) attendDelegate(ctx context.Context, d drivers.Delegated) (end func(context.Context, *task), err error) {
	due, err := t.dueWithDelegate(ctx)
	if err != nil {
		return nil, err
	}
	switch due {
	case dueBegin:
		return t.beginDelegate(ctx, d)
	case dueFindings:
		return t.forwardFindings(ctx, d)
	}
	s, err := d.Standing(ctx, t.Task)
	if err != nil || !s.Over {
		return nil, err
	}
	if s.Error != "" {
		return func(ctx context.Context, t *task) {
			t.delegateFailed(ctx, d, "ironic-inspector inspection failed: "+s.Error)
		}, nil
	}
	var found *findings
	if t.c.cfg.StoreInventory {
		inventory, pluginData, err := d.Findings(ctx, t.Task)
		switch {
		case err == nil:
			found = &findings{orEmpty(inventory), orEmpty(pluginData)}
		case store.Unreachable(err):
			return nil, err
		default:
			t.Log.Error().Err(err).Msg("What the service found out can't be had; the inspection ends without it")
		}
	}
	return func(ctx context.Context, t *task) { t.delegateDone(ctx, d, found) }, nil
}

// beginDelegate has the service begin. A service that does not fails the inspection.
func (t *task) beginDelegate(ctx context.Context, d drivers.Delegated) (end func(context.Context, *task), err error) {
	err = d.Begin(ctx, t.Task)
	switch {
	case err == nil:
		return nil, t.keepDue(ctx, journalToBegin, false)
	case ctx.Err() != nil:
		return nil, err
	}
	text := fmt.Sprintf("Failed to start inspection: %s", err)
	return func(ctx context.Context, t *task) { t.delegateFailed(ctx, d, text) }, nil
}

// forwardFindings hands the service what the ramdisk told ironic-api. A service that is away gets it later.
func (t *task) forwardFindings(ctx context.Context, d drivers.Delegated) (end func(context.Context, *task), err error) {
	f, err := t.keptFindings(ctx, journalFindings)
	if err != nil || f == nil {
		return nil, err
	}
	err = d.Forward(ctx, t.Task, f.inventory, f.pluginData)
	switch {
	case err == nil:
		t.forgetFindings(ctx)
		return nil, nil
	case ctx.Err() != nil, store.Unreachable(err):
		return nil, err
	}
	text := err.Error()
	return func(ctx context.Context, t *task) {
		t.forgetFindings(ctx)
		t.endInspection(ctx, finishFailed+text, continuing, text)
	}, nil
}

// delegateFailed ends an inspection that came to nothing with the service.
func (t *task) delegateFailed(ctx context.Context, d drivers.Delegated, text string) {
	err := d.Conclude(ctx, t.Task)
	if lost(err) || t.cutShort(ctx, text) {
		return
	}
	ctx, cancel := lingering(ctx)
	defer cancel()
	t.Log.Error().Str("error", text).Msg("Inspection failed")
	t.inspectionFailedQuietly(ctx, text)
	if err := t.keepDue(ctx, journalToBegin, false); err != nil {
		t.Log.Warn().Err(err).Msg("The journal keeps that the service was to be told to begin")
	}
}

// delegateDone ends an inspection that the service has done. What it found is kept first: the row tells last that all is over.
func (t *task) delegateDone(ctx context.Context, d drivers.Delegated, f *findings) {
	var left *drivers.RamdiskLeft
	err := d.Conclude(ctx, t.Task)
	if f != nil && (err == nil || errors.As(err, &left)) {
		if storeErr := t.storeFindings(ctx, *f); storeErr != nil {
			err = storeErr
		}
	}
	switch {
	case lost(err) || err != nil && t.cutShort(ctx, err.Error()):
	case err != nil:
		ctx, cancel := lingering(ctx)
		defer cancel()
		t.inspectionFailedQuietly(ctx, err.Error())
	default:
		if err := t.processEvent(ctx, eventDone, eventOptions{flow: flowInspect}); err != nil {
			t.inspectionFailed(ctx, err)
		}
	}
}
