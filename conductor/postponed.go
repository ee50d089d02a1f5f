package conductor

import (
	"context"
	"sync"

	"github.com/ironmaster/ironmaster/messaging/oslo"
)

// postponed keeps the latest heartbeat of each node that came while this worker held the node. Ironic drops such a
// heartbeat and waits for the next one, which an agent sends minutes later: a machine that boots quicker than its flow
// reaches the wait state would lose that time. What waits here uses no worker.
type postponed struct {
	mu    sync.Mutex
	beats map[string]heartbeat
}

func (p *postponed) put(node string, h heartbeat) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.beats[node] = h
}

func (p *postponed) take(node string) (h heartbeat, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h, ok = p.beats[node]
	delete(p.beats, node)
	return h, ok
}

// drop forgets the heartbeat of an agent whose power is cut: nobody answers at its address any more.
func (p *postponed) drop(node string) { _, _ = p.take(node) }

// lockForHeartbeat takes the node for a heartbeat. When this worker holds it, the heartbeat is kept until it lets the node go.
// When another worker does, it is not: that one may be about to cut the agent's power, and the next heartbeat comes to it.
func (t *task) lockForHeartbeat(ctx context.Context, h heartbeat) bool {
	err := t.upgrade(ctx, "heartbeat", 1)
	if err == nil {
		return true
	}
	kept := t.c.heldNodes()[t.Node.UUID]
	if kept {
		t.c.postponed.put(t.Node.UUID, h)
	}
	// The holder may have let go between the attempt and the note, and would not have seen it.
	if t.upgrade(ctx, "heartbeat", 1) == nil {
		t.c.postponed.drop(t.Node.UUID)
		return true
	}
	if !kept {
		t.noteResult(momentHeartbeat, "left to the worker that holds the node", "", nil)
		t.Log.Debug().Err(err).Msg("Heartbeat left to the holder of the node")
		return false
	}
	t.noteResult(momentHeartbeat, "kept until the node is free", "", nil)
	t.Log.Debug().Err(err).Msg("Heartbeat postponed until the node is free")
	return false
}

// beatAgain takes a heartbeat that had to wait, now that the node is free. Its token is looked at again: the agent may
// have been switched off since.
func (c *Conductor) beatAgain(node string) {
	h, ok := c.postponed.take(node)
	if !ok {
		return
	}
	err := c.pool.StartUnreserved(c.working(), func(ctx context.Context) {
		err := c.readNode(ctx, oslo.AdminContext(), node, "heartbeat", func(ctx context.Context, t *task) error {
			if validAgentToken(t.Node, h.token) {
				t.beat(ctx, h)
			}
			return nil
		})
		if err != nil {
			c.log.Debug().Err(err).Str("node", node).Msg("A postponed heartbeat came to nothing")
		}
	})
	if err != nil {
		c.log.Debug().Err(err).Str("node", node).Msg("A postponed heartbeat found no worker; the agent will send another")
	}
}
