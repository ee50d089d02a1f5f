package conductor

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

type connectorArgs struct {
	Connector json.RawMessage `json:"connector" python:"object,uuid,node_id"`
}

type targetArgs struct {
	Target json.RawMessage `json:"target" python:"object,uuid,node_id"`
}

// onOffNode runs fn on a node whose volumes may change: it must be off, or it could be using them.
func (c *Conductor) onOffNode(ctx context.Context, rq oslo.Context, node int64, purpose string, fn func(context.Context) error) error {
	return c.ifUnused(ctx, rq, node, purpose, nil, fn)
}

// onOffOrIdleNode is onOffNode for deletions. Since 39.0 a node that may be deleted itself may be on.
func (c *Conductor) onOffOrIdleNode(ctx context.Context, rq oslo.Context, node int64, purpose string,
	fn func(context.Context) error) error {
	var idle []string
	if c.cfg.Release >= messaging.Newest {
		idle = []string{store.Manageable, store.Enroll, store.AdoptFail}
	}
	return c.ifUnused(ctx, rq, node, purpose, idle, fn)
}

// ifUnused runs fn on a node that is off, or in one of the provision states in which it uses no volumes.
func (c *Conductor) ifUnused(ctx context.Context, rq oslo.Context, node int64, purpose string, idle []string,
	fn func(context.Context) error) error {
	return c.withNode(ctx, rq, rowID(node), lockMode{purpose: purpose}, func(ctx context.Context, t *task) error {
		if power := t.Node.PowerState; power != store.PowerOff && !slices.Contains(idle, t.Node.ProvisionState) {
			return refusedIn(purpose, t.Node.UUID, orNone(power))
		}
		return fn(ctx)
	})
}

func (c *Conductor) updateVolumeConnector(ctx context.Context, rq oslo.Context, a connectorArgs) (any, error) {
	connector, changes, err := c.codec.DecodeVolumeConnector(a.Connector)
	if err != nil {
		return nil, err
	}
	return updateVolume(ctx, c, rq, connectorWriter, "Volume Connector", connector.NodeID, connector, changes)
}

func (c *Conductor) updateVolumeTarget(ctx context.Context, rq oslo.Context, a targetArgs) (any, error) {
	target, changes, err := c.codec.DecodeVolumeTarget(a.Target)
	if err != nil {
		return nil, err
	}
	return updateVolume(ctx, c, rq, targetWriter, "Volume Target", target.NodeID, target, changes)
}

// updateVolume writes the fields of a node's volume connector or target that were changed, and returns the row as it is then.
func updateVolume[T any](ctx context.Context, c *Conductor, rq oslo.Context, w writer[T], what string, node int64, sent *T,
	changes []string) (*T, error) {
	now := sent
	err := c.onOffNode(ctx, rq, node, strings.ToLower(what)+" update", func(ctx context.Context) (err error) {
		if err := keepUUID(changes, what); err != nil {
			return err
		}
		if now, err = w.read(c.db, ctx, w.ident(sent)); err != nil {
			return err
		}
		store.CopyFields(now, sent, changes)
		return w.save(c.db, ctx, now)
	})
	return now, err
}

func (c *Conductor) destroyVolumeConnector(ctx context.Context, rq oslo.Context, a connectorArgs) (any, error) {
	connector, _, err := c.codec.DecodeVolumeConnector(a.Connector)
	if err != nil {
		return nil, err
	}
	return nil, c.onOffOrIdleNode(ctx, rq, connector.NodeID, "volume connector deletion", func(ctx context.Context) error {
		return c.db.DestroyVolumeConnector(ctx, connector)
	})
}

func (c *Conductor) destroyVolumeTarget(ctx context.Context, rq oslo.Context, a targetArgs) (any, error) {
	target, _, err := c.codec.DecodeVolumeTarget(a.Target)
	if err != nil {
		return nil, err
	}
	return nil, c.onOffOrIdleNode(ctx, rq, target.NodeID, "volume target deletion", func(ctx context.Context) error {
		return c.db.DestroyVolumeTarget(ctx, target)
	})
}
