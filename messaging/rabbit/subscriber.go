package rabbit

import (
	"context"
	"errors"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Subscriber follows notifications without taking them from anybody: it has a queue of its own that goes with it.
type Subscriber struct {
	link
	keys []string
}

// NewSubscriber follows the given routing keys of the exchange (<topic>.<level>, * and # as in AMQP).
func NewSubscriber(cfg Config, keys []string) (*Subscriber, error) {
	if err := cfg.resolve(); err != nil {
		return nil, err
	}
	return &Subscriber{link: link{cfg: cfg}, keys: keys}, nil
}

// Run calls handle for each message, one after the other, until ctx ends. What is sent while the connection is lost is
// missed. Status tells when it listens.
func (s *Subscriber) Run(ctx context.Context, handle func(routingKey string, body []byte)) {
	s.supervise(ctx, func(ctx context.Context, sess *session, up func()) error {
		deliveries, err := s.subscribe(sess)
		if err != nil {
			return err
		}
		up()
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case d, ok := <-deliveries:
				if !ok {
					return errors.New("the broker ended the subscription")
				}
				body, err := inflate(d.Headers, d.Body, 64<<20)
				if err != nil {
					s.cfg.Log.Warn().Err(err).Msg("skipping an event that cannot be read")
				} else {
					handle(d.RoutingKey, body)
				}
				if err := d.Ack(false); err != nil {
					return err
				}
			}
		}
	})
}

func (s *Subscriber) subscribe(sess *session) (<-chan amqp.Delivery, error) {
	d, err := sess.declarer(s.cfg.Log)
	if err != nil {
		return nil, err
	}
	if err := d.exchange(s.cfg.Options.topicExchange(s.cfg.Exchange)); err != nil {
		return nil, fmt.Errorf("declaring exchange %s: %w", s.cfg.Exchange, err)
	}
	name, err := d.queue(queue{autoDelete: true, exclusive: true})
	if err != nil {
		return nil, fmt.Errorf("declaring a queue for events: %w", err)
	}
	for _, key := range s.keys {
		if err := d.ch.QueueBind(name, key, s.cfg.Exchange, false, nil); err != nil {
			return nil, fmt.Errorf("following %s: %w", key, err)
		}
	}
	// The prefetch keeps a reader that is slower than its terminal from filling its memory.
	if err := d.ch.Qos(100, 0, false); err != nil {
		return nil, err
	}
	return d.ch.Consume(name, "events", false, true, false, false, nil)
}
