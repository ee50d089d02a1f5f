package rabbit

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/rs/zerolog"
)

// exchange and queue are declared with exactly the arguments that oslo.messaging would use for the same options: the
// broker refuses any other (406). Reference: config.md §7.1 and the recorded frames of wire/21.4/lifecycle.
type exchange struct {
	name, kind          string
	durable, autoDelete bool
}

type queue struct {
	name                           string
	durable, autoDelete, exclusive bool
	args                           amqp.Table
}

func (o *Options) durable() bool { return o.DurableQueues || o.QuorumQueue }

func (o *Options) topicExchange(name string) exchange {
	return exchange{name: name, kind: "topic", durable: o.durable(), autoDelete: o.AutoDelete}
}

// topicQueue is a queue for requests or notifications.
func (o *Options) topicQueue(name string) queue {
	args := amqp.Table{}
	if o.HAQueues {
		args["x-ha-policy"] = "all"
	}
	if o.QuorumQueue {
		args["x-queue-type"] = "quorum"
		for name, limit := range map[string]int{
			"x-delivery-limit": o.QuorumDeliveryLimit, "x-max-in-memory-length": o.QuorumMaxMemoryLength,
			"x-max-in-memory-bytes": o.QuorumMaxMemoryBytes,
		} {
			if limit > 0 {
				args[name] = int32(limit)
			}
		}
	}
	return queue{name: name, durable: o.durable(), autoDelete: o.AutoDelete, args: args}
}

func (o *Options) fanoutExchange(topic string) exchange {
	return exchange{name: topic + "_fanout", kind: "fanout", durable: o.TransientQuorumQueue, autoDelete: true}
}

// fanoutQueue is this process' own queue at the fanout exchange.
func (o *Options) fanoutQueue(topic string) queue {
	args := amqp.Table{}
	if o.HAQueues {
		args["x-ha-policy"] = "all"
	}
	if o.TransientQuorumQueue {
		delete(args, "x-ha-policy")
		args["x-queue-type"] = "quorum"
	}
	if o.TransientTTL > 0 {
		args["x-expires"] = o.TransientTTL.Milliseconds()
	}
	suffix := newHex()
	if o.QueueManager {
		suffix = o.QueueManagerHost + ":" + o.QueueManagerProcess + ":1"
	}
	return queue{name: topic + "_fanout_" + suffix, durable: o.TransientQuorumQueue, args: args}
}

func newHex() string {
	id := uuid.New()
	return hex.EncodeToString(id[:])
}

// declarer declares on one session. A refused declaration closes its channel, so the channel may change.
type declarer struct {
	s   *session
	ch  *amqp.Channel
	log zerolog.Logger
}

func (s *session) declarer(log zerolog.Logger) (*declarer, error) {
	ch, err := s.Channel()
	return &declarer{s: s, ch: ch, log: log}, err
}

func (d *declarer) exchange(e exchange) error {
	return d.withFlip("exchange", e.name, e.durable, func(durable bool) error {
		return d.ch.ExchangeDeclare(e.name, e.kind, durable, e.autoDelete, false, false, nil)
	})
}

// missing tells whether the broker has no such exchange. Asking for it then closes the channel.
func (d *declarer) missing(e exchange) (bool, error) {
	err := d.ch.ExchangeDeclarePassive(e.name, e.kind, e.durable, e.autoDelete, false, false, nil)
	var refused *amqp.Error
	if !errors.As(err, &refused) || refused.Code != amqp.NotFound {
		return false, err
	}
	d.ch, err = d.s.Channel()
	return true, err
}

func (d *declarer) queue(q queue) (name string, err error) {
	err = d.withFlip("queue", q.name, q.durable, func(durable bool) error {
		declared, err := d.ch.QueueDeclare(q.name, durable, q.autoDelete, q.exclusive, false, q.args)
		name = declared.Name
		return err
	})
	return name, err
}

// withFlip declares again with the opposite durability when the broker holds the entity so: as oslo.messaging does, a
// cloud whose option was changed keeps working until its queues are made anew.
func (d *declarer) withFlip(what, name string, durable bool, declare func(durable bool) error) error {
	err := declare(durable)
	var refused *amqp.Error
	if !errors.As(err, &refused) || refused.Code != amqp.PreconditionFailed || !strings.Contains(refused.Reason, "'durable'") {
		return err
	}
	d.log.Error().Str(what, name).Bool("configured_durable", durable).
		Msg("the broker holds this with the opposite durability, using it as it is")
	ch, chErr := d.s.Channel()
	if chErr != nil {
		return chErr
	}
	d.ch = ch
	return declare(!durable)
}

// bound declares an exchange, a queue and the binding between them.
func (d *declarer) bound(e exchange, q queue, key string) error {
	if err := d.exchange(e); err != nil {
		return fmt.Errorf("declaring exchange %s: %w", e.name, err)
	}
	if _, err := d.queue(q); err != nil {
		return fmt.Errorf("declaring queue %s: %w", q.name, err)
	}
	if err := d.ch.QueueBind(q.name, key, e.name, false, nil); err != nil {
		return fmt.Errorf("binding queue %s: %w", q.name, err)
	}
	return nil
}

func (d *declarer) close() { _ = d.ch.Close() }
