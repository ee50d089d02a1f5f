package conductor

import (
	"context"
	"fmt"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// transferReadTimeout bounds reading the node that a machine's transfer is told of.
const transferReadTimeout = 2 * time.Second

// NoteTransfer tells the followers of progress events how far a machine is with a boot file, and puts it into its
// timeline. Only a node counts of which this worker runs a flow: any other machine that asks for a node's file says
// nothing about the node.
func (c *Conductor) NoteTransfer(ctx context.Context, t drivers.Transfer) {
	running := false
	c.progress.with(t.Node, func(*flowProgress) { running = true })
	if t.Node == "" || !running {
		return
	}
	p := drivers.Progress{Doing: fmt.Sprintf("the machine loads %s by %s from this conductor", t.File, t.By), Waiting: true,
		Bytes: t.Bytes, Total: t.Total}
	c.noteProgress(&store.Node{UUID: t.Node}, p)
	event := c.progressEvent(t.Node, p)
	if event == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, transferReadTimeout)
	defer cancel()
	node, err := c.db.Node(ctx, t.Node)
	if err != nil {
		c.log.Debug().Err(err).Str("node", t.Node).Msg("A node whose machine loads a boot file cannot be read")
		return
	}
	c.tellProgress(node, event)
}
