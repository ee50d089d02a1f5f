package conductor

import (
	"context"
	"sync"

	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

// leftBehind are the nodes whose reservation may have stayed in the database, because that was away for longer than a release
// waits. Whoever reserves a node holds its record in the worker's file, so one that is reserved in this worker's name and
// in this set, while a task holds the record, is nobody's.
type leftBehind struct {
	mu    sync.Mutex
	nodes map[string]bool
}

func (l *leftBehind) add(node string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.nodes == nil {
		l.nodes = map[string]bool{}
	}
	l.nodes[node] = true
}

func (l *leftBehind) has(node string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.nodes[node]
}

func (l *leftBehind) remove(node string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.nodes, node)
}

func (l *leftBehind) list() []*store.Node {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []*store.Node
	for node := range l.nodes {
		all = append(all, &store.Node{UUID: node})
	}
	return all
}

// freeLeftBehind frees what earlier releases could not. Taking the lock is what does it.
func (c *Conductor) freeLeftBehind(ctx context.Context) error {
	for _, n := range c.leftBehind.list() {
		err := c.withNode(ctx, oslo.AdminContext(), n.UUID, lockMode{purpose: "freeing the node", attempts: 1, noDriver: true},
			func(context.Context, *task) error { return nil })
		switch store.KindOf(err) {
		case store.NodeLocked:
		case store.NodeNotFound:
			c.leftBehind.remove(n.UUID)
		default:
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// freeOwn frees a reservation of this worker's own that was left behind. The task holds the node's record.
func (t *task) freeOwn(ctx context.Context) bool {
	if !t.c.leftBehind.has(t.Node.UUID) {
		return false
	}
	node, err := t.c.db.Peek(ctx, t.Node.UUID)
	if err != nil || node.Reservation != t.c.cfg.Host {
		return false
	}
	t.Log.Warn().Msg("Freeing a reservation of this worker's own that was left behind")
	return t.c.reservations.Release(ctx, node.ID, t.c.cfg.Host) == nil
}
