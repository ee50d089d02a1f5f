package conductor

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/local"
)

// receive takes one message from the transport. A request that changes something is written to the inbox before it is
// acked, so that it is neither lost nor run twice when the worker dies.
//
// Crash windows: before the inbox commit the broker delivers the message again, and a caller of JSON-RPC sees its
// connection break; between the commit and the ack the broker delivers again too, and the inbox tells that it was seen;
// after the ack the next start runs what the inbox holds unfinished.
//
// A request is finished when the transport's part of the worker stops; it is cut short only when the worker's time is over.
func (c *Conductor) receive(ctx context.Context, m Message) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.workCtx, cancel)()
	// Requests wait in the queue while a worker is away, and come as soon as it listens: before it may act.
	select {
	case <-c.registered:
	case <-ctx.Done():
		return
	}
	r, err := m.Request()
	if err != nil {
		c.refuse(ctx, m, err)
		return
	}
	if c.methods[r.Method].readOnly {
		c.ack(m)
		c.run(ctx, m, r)
		return
	}
	id := r.UniqueID
	if id == "" {
		id = uuid.NewString()
	}
	// gofail: var inboxBeforeAccept struct{}
	fresh, err := c.local.Accept(local.Call{ID: id, At: c.now(), Form: string(c.transport.Form()), Body: m.Body()})
	switch {
	case errors.Is(err, local.ErrCallID):
		c.refuse(ctx, m, err)
		return
	case err != nil:
		// It is refused rather than kept waiting: the caller can ask again, and nothing has been done.
		c.ack(m)
		c.log.Error().Err(err).Str("method", r.Method).Msg("Writing a request to the inbox failed")
		why := "cannot write its journal"
		if errors.Is(err, local.ErrFull) {
			why = "has no room on its disk for its journal"
		}
		c.answer(ctx, m, r, nil, store.Errorf(store.TemporaryFailure, "Conductor %s %s and takes no requests", c.cfg.Host, why))
		return
	}
	// gofail: var inboxAccepted struct{}
	c.ack(m)
	if !fresh {
		c.log.Debug().Str("method", r.Method).Msg("A request came twice; the second one is dropped")
		return
	}
	// gofail: var inboxAcked struct{}
	c.runAccepted(ctx, m, r, &acceptedCall{id: id})
}

func (c *Conductor) ack(m Message) {
	if err := m.Ack(); err != nil {
		c.log.Debug().Err(err).Msg("Acknowledging a message failed; the broker will deliver it again")
	}
}

// refuse answers what can't be understood and takes it off the queue, or it would come back for ever.
func (c *Conductor) refuse(ctx context.Context, m Message, err error) {
	c.ack(m)
	c.log.Warn().Err(err).Int("bytes", len(m.Body())).Msg("A message was refused")
	c.reply(ctx, m, "unknown", nil, err)
}

func (c *Conductor) run(ctx context.Context, m Message, r *oslo.Request) {
	result, err := c.execute(ctx, m, r)
	c.answer(ctx, m, r, result, err)
}

// runAccepted runs what the inbox holds.
func (c *Conductor) runAccepted(ctx context.Context, m Message, r *oslo.Request, call *acceptedCall) {
	result, err := c.execute(withCall(ctx, call), m, r)
	if ctx.Err() != nil && err != nil {
		// The worker is stopping and the request may have been cut short: the next start runs it.
		return
	}
	// gofail: var inboxExecuted struct{}
	if !call.handed.Load() {
		if err := c.finishCall(context.WithoutCancel(ctx), call.id); err != nil {
			c.log.Error().Err(err).Str("method", r.Method).Msg("Marking a request as done failed")
		}
	}
	// gofail: var inboxFinished struct{}
	c.answer(ctx, m, r, result, err)
}

// execute runs the method and counts it; a caller that monitors its call hears of it meanwhile.
func (c *Conductor) execute(ctx context.Context, m Message, r *oslo.Request) (any, error) {
	stop := m.KeepWaiting(ctx)
	defer stop()
	began := c.now()
	method := r.Method
	if _, known := c.methods[method]; !known {
		// A name that nobody offers must not become a label: senders could make up as many as they like.
		method = "unknown"
	}
	var result any
	err := contain(c.log, method, func() (err error) {
		result, err = c.dispatch(ctx, r)
		return err
	})
	ended := c.now()
	c.metrics.observeRPC(method, began, ended, err)
	c.meterRequest(method, ended.Sub(began), err)
	return result, err
}

// replay runs what an earlier life of this worker accepted and did not finish. Each method takes the node's lock and
// looks at its state first, so that work which was done already is refused by the state machine.
//
// begun are those whose flow goes on by itself; of them only the caller is answered.
func (c *Conductor) replay(ctx context.Context, calls []local.Call, begun map[string]bool) error {
	for _, call := range calls {
		m, err := c.again(call)
		var r *oslo.Request
		if err == nil {
			r, err = m.Request()
		}
		if err != nil {
			c.log.Error().Err(err).Msg("A request in the inbox can't be read any more")
			if err := c.local.Finish(call.ID); err != nil {
				return err
			}
			continue
		}
		if c.methods[r.Method].repeated {
			if err := c.local.Finish(call.ID); err != nil {
				return err
			}
			c.background.Go(func() {
				c.answer(ctx, m, r, nil, store.Errorf(store.TemporaryFailure, "Conductor %s was started anew before it had answered", c.cfg.Host))
			})
			continue
		}
		c.log.Info().Str("method", r.Method).Time("accepted", call.At).Msg("Running a request from before the restart")
		accepted := &acceptedCall{id: call.ID, begun: begun[call.ID], again: true}
		c.background.Go(func() { c.runAccepted(ctx, m, r, accepted) })
	}
	return nil
}
