package conductor

import (
	"context"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store/local"
)

const (
	outboxBatch = 64
	outboxPause = time.Second
)

// publish sends what the outbox holds, in order, until ctx ends. An event leaves the outbox when the broker confirmed it;
// while the broker is away everything waits.
//
// Crash window: between the confirm and the deletion the event is sent once more after the restart, with the same
// message id, by which a consumer can tell.
func (c *Conductor) publish(ctx context.Context) {
	for ctx.Err() == nil {
		err := c.publishAll(ctx)
		if ctx.Err() == nil {
			c.log.Warn().Err(err).Msg("Publishing events failed; they wait in the outbox")
			_ = drivers.Pause(ctx, outboxPause)
		}
	}
}

// publishAll sends events from the oldest on until one can't be sent, and says why.
func (c *Conductor) publishAll(ctx context.Context) error {
	last := uint64(0)
	for {
		events, err := c.local.Next(ctx, last, outboxBatch)
		if err != nil {
			return err
		}
		sent, sendErr := c.sendAll(ctx, events)
		// Were the events to stay here they would be sent again and again.
		if err := c.untilRoom(ctx, "deleting events that were sent", func() error { return c.local.Delete(sent...) }); err != nil {
			return err
		}
		// gofail: var outboxDeleted struct{}
		if sendErr != nil {
			return sendErr
		}
		last = sent[len(sent)-1]
	}
}

// sendAll sends a batch in order and returns what went out, which is then deleted in one commit.
func (c *Conductor) sendAll(ctx context.Context, events []local.Event) (sent []uint64, err error) {
	for _, e := range events {
		// gofail: var outboxBeforeSend struct{}
		if err := c.send(ctx, e); err != nil {
			return sent, err
		}
		// gofail: var outboxSent struct{}
		sent = append(sent, e.Seq)
	}
	return sent, nil
}

func (c *Conductor) send(ctx context.Context, e local.Event) error {
	if strings.HasPrefix(e.Topic, ProgressTopic+".") {
		return c.notifier.Publish(ctx, e.Topic, e.Body)
	}
	return c.notifier.Notify(ctx, e.Topic, e.Body)
}

// drainOutbox sends what is left when the worker stops, for as long as ctx allows; the rest waits for the next start.
func (c *Conductor) drainOutbox(ctx context.Context) {
	for {
		events, err := c.local.Peek(0, outboxBatch)
		if err != nil || len(events) == 0 {
			return
		}
		sent, sendErr := c.sendAll(ctx, events)
		if err := c.local.Delete(sent...); err != nil {
			return
		}
		if sendErr != nil {
			c.log.Info().Int("events", c.local.Outbox().Durable).Msg("Events wait in the outbox for the next start")
			return
		}
	}
}
