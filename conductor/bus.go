package conductor

import (
	"context"
	"fmt"
	"time"

	"github.com/ironmaster/ironmaster/messaging/rabbit"
)

// RabbitBus is the Bus over RabbitMQ: one connection takes requests, another one sends.
type RabbitBus struct {
	server *rabbit.Server
	*rabbit.Publisher
}

// NewRabbitBus joins the two connections. The publisher's Run is the caller's to start and end.
func NewRabbitBus(server *rabbit.Server, publisher *rabbit.Publisher) *RabbitBus {
	return &RabbitBus{server: server, Publisher: publisher}
}

// Serve is Bus.
func (b *RabbitBus) Serve(ctx context.Context, handle func(context.Context, Message)) {
	b.server.Serve(ctx, func(ctx context.Context, d *rabbit.Delivery) { handle(ctx, delivery{d}) })
}

// Connected is Bus: both connections are up.
func (b *RabbitBus) Connected() bool { return b.server.Connected() && b.Publisher.Connected() }

// readyPoll is how often a starting worker looks whether its queues exist.
const readyPoll = 20 * time.Millisecond

// Ready is Bus: the queues exist.
func (b *RabbitBus) Ready(ctx context.Context) error {
	for !b.server.Connected() {
		if err := sleep(ctx, readyPoll); err != nil {
			return fmt.Errorf("waiting for the broker: %w", err)
		}
	}
	return nil
}

// delivery is a Message.
type delivery struct{ d *rabbit.Delivery }

func (d delivery) Body() []byte { return d.d.Body }
func (d delivery) Ack() error   { return d.d.Ack() }
