package conductor

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging/rabbit"
)

// RabbitBus is the Bus over RabbitMQ: one connection takes requests, another one sends. Notifications go out over the
// latter, or to a broker of their own.
type RabbitBus struct {
	server *rabbit.Server
	*rabbit.Publisher
	notifier *rabbit.Publisher
}

// NewRabbitBus joins the connections; notifier is nil for notifications that go where replies go.
func NewRabbitBus(server *rabbit.Server, publisher, notifier *rabbit.Publisher) *RabbitBus {
	if notifier == nil {
		notifier = publisher
	}
	return &RabbitBus{server: server, Publisher: publisher, notifier: notifier}
}

// Run keeps what sends connected until ctx ends, which is after Serve has ended: it carries the last replies and events.
func (b *RabbitBus) Run(ctx context.Context) {
	var senders sync.WaitGroup
	senders.Go(func() { b.Publisher.Run(ctx) })
	if b.notifier != b.Publisher {
		senders.Go(func() { b.notifier.Run(ctx) })
	}
	senders.Wait()
}

// Notify is Bus.
func (b *RabbitBus) Notify(ctx context.Context, routingKey string, body []byte) error {
	return b.notifier.Notify(ctx, routingKey, body)
}

// Serve is Bus.
func (b *RabbitBus) Serve(ctx context.Context, handle func(context.Context, Message)) {
	b.server.Serve(ctx, func(ctx context.Context, d *rabbit.Delivery) { handle(ctx, delivery{d}) })
}

// Connected is Bus: requests can come and replies can go. Notifications wait in the outbox.
func (b *RabbitBus) Connected() bool { return b.server.Connected() && b.Publisher.Connected() }

// readyPoll is how often a starting worker looks whether its queues exist.
const readyPoll = 20 * time.Millisecond

// Ready is Bus: the queues exist.
func (b *RabbitBus) Ready(ctx context.Context) error {
	for !b.server.Connected() {
		if err := drivers.Pause(ctx, readyPoll); err != nil {
			return fmt.Errorf("waiting for the broker: %w", err)
		}
	}
	return nil
}

// delivery is a Message.
type delivery struct{ d *rabbit.Delivery }

func (d delivery) Body() []byte { return d.d.Body }
func (d delivery) Ack() error   { return d.d.Ack() }
