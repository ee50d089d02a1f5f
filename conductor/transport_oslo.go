package conductor

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/messaging/rabbit"
)

// RabbitTransport is the Transport over RabbitMQ: one connection takes requests, another one sends answers.
type RabbitTransport struct {
	server  *rabbit.Server
	answers *rabbit.Publisher
	wire    Wire
	log     zerolog.Logger
}

// NewRabbitTransport joins the connections. Whoever made answers runs it, until after Serve has ended.
func NewRabbitTransport(server *rabbit.Server, answers *rabbit.Publisher, wire Wire, log zerolog.Logger) *RabbitTransport {
	return &RabbitTransport{server: server, answers: answers, wire: wire, log: log}
}

// Serve is Transport.
func (t *RabbitTransport) Serve(ctx context.Context, handle func(context.Context, Message)) {
	t.server.Serve(ctx, func(ctx context.Context, d *rabbit.Delivery) {
		handle(ctx, newOsloMessage(d.Body, t.wire, d.Ack, t.answers.Reply, t.log))
	})
}

// Health is Transport: requests can come and answers can go.
func (t *RabbitTransport) Health() (part string, away *Absence) {
	for _, s := range []rabbit.Status{t.server.Status(), t.answers.Status()} {
		if !s.OK() {
			return "broker", &Absence{s.Since, s.Err}
		}
	}
	return "broker", nil
}

// readyPoll is how often a starting worker looks whether its queues exist.
const readyPoll = 20 * time.Millisecond

// Ready is Transport: the queues exist.
func (t *RabbitTransport) Ready(ctx context.Context) error {
	for !t.server.Connected() {
		if err := drivers.Pause(ctx, readyPoll); err != nil {
			return fmt.Errorf("waiting for the broker: %w", err)
		}
	}
	return nil
}

// Form is Transport.
func (t *RabbitTransport) Form() Form { return FormOslo }

// Again is Transport: the caller may still wait at its queue.
func (t *RabbitTransport) Again(body []byte) Message {
	return newOsloMessage(body, t.wire, ackNothing, t.answers.Reply, t.log)
}

// osloMessage is a request in oslo.messaging's envelope.
type osloMessage struct {
	body    []byte
	request *oslo.Request
	err     error
	wire    Wire
	ack     func() error
	// send puts a body into the queue of a caller.
	send func(ctx context.Context, queue string, body []byte) error
	log  zerolog.Logger
}

func newOsloMessage(body []byte, wire Wire, ack func() error, send func(context.Context, string, []byte) error,
	log zerolog.Logger) *osloMessage {
	m := &osloMessage{body: body, wire: wire, ack: ack, send: send, log: log}
	m.request, m.err = oslo.DecodeRequest(body, wire.MaxSize)
	return m
}

func (m *osloMessage) Request() (*oslo.Request, error) { return m.request, m.err }
func (m *osloMessage) Body() []byte                    { return m.body }
func (m *osloMessage) Ack() error                      { return m.ack() }

func (m *osloMessage) IsCall() bool {
	msgID, queue := m.returnAddress()
	return msgID != "" && queue != ""
}

func (m *osloMessage) Reply(ctx context.Context, result any, failure error) error {
	if !m.IsCall() {
		return nil
	}
	msgID, queue := m.returnAddress()
	var body []byte
	var err error
	if failure != nil {
		body, err = oslo.EncodeFailure(msgID, oslo.FailureOf(failure, m.wire.Release))
	} else {
		body, err = oslo.EncodeReply(msgID, result)
	}
	if err != nil {
		return fmt.Errorf("encoding a reply: %w", err)
	}
	return m.send(ctx, queue, body)
}

// returnAddress is where the caller waits; a request that can't be understood may still have one.
func (m *osloMessage) returnAddress() (msgID, queue string) {
	if m.request != nil {
		return m.request.MsgID, m.request.ReplyQ
	}
	return oslo.ReturnAddress(m.err)
}

// leastKeepalive and mostKeepalive bound the pause between two signs of life, whatever timeout a caller names.
const leastKeepalive, mostKeepalive = time.Millisecond, time.Hour

// keepalivePause is half of a caller's timeout in seconds.
func keepalivePause(timeout float64) time.Duration {
	return time.Duration(min(max(timeout/2*float64(time.Second), float64(leastKeepalive)), float64(mostKeepalive)))
}

// KeepWaiting sends what a monitored call expects while it runs: a sign of life every half of its timeout. Ironic's own
// clients do not ask for it.
func (m *osloMessage) KeepWaiting(ctx context.Context) (stop func()) {
	r := m.request
	if r == nil || !r.IsCall() || r.Timeout == nil || *r.Timeout <= 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var sending sync.WaitGroup
	sending.Go(func() {
		ticker := time.NewTicker(keepalivePause(*r.Timeout))
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			body, err := oslo.EncodeKeepalive(r.MsgID)
			if err == nil {
				err = m.send(ctx, r.ReplyQ, body)
			}
			if err != nil && ctx.Err() == nil {
				m.log.Debug().Err(err).Msg("Sending a sign of life to a waiting caller failed")
			}
		}
	})
	return func() {
		cancel()
		sending.Wait()
	}
}
