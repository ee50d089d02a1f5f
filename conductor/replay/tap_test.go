package replay

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// tap sees every message that anybody publishes, by RabbitMQ's firehose.
type tap struct {
	connection *amqp.Connection
	channel    *amqp.Channel
	replyQueue string

	mu   sync.Mutex
	seen traffic
	last time.Time
}

// traffic is what went over the broker since reset.
type traffic struct {
	requests, replies []message
	// notifications are "event_type [PRIORITY]", in the order published; payloads stand beside them.
	notifications []string
	payloads      []map[string]any
}

const progressEvents = "baremetal.node.deploy_progress."

func openTap(url, replyQueue string) (*tap, error) {
	connection, err := amqp.Dial(strings.Replace(url, "rabbit://", "amqp://", 1))
	if err != nil {
		return nil, err
	}
	channel, err := connection.Channel()
	if err != nil {
		return nil, err
	}
	queue, err := channel.QueueDeclare("", false, true, true, false, nil)
	if err != nil {
		return nil, err
	}
	if err := channel.QueueBind(queue.Name, "publish.#", "amq.rabbitmq.trace", false, nil); err != nil {
		return nil, err
	}
	if _, err := channel.QueueDeclare(replyQueue, false, true, false, false, amqp.Table{"x-expires": int32(1800000)}); err != nil {
		return nil, err
	}
	deliveries, err := channel.Consume(queue.Name, "", true, true, false, false, nil)
	if err != nil {
		return nil, err
	}
	t := &tap{connection: connection, channel: channel, replyQueue: replyQueue}
	go func() {
		for delivery := range deliveries {
			t.take(delivery)
		}
	}()
	return t, nil
}

func (t *tap) close() error { return t.connection.Close() }

func (t *tap) take(delivery amqp.Delivery) {
	var envelope struct {
		Message string `json:"oslo.message"`
	}
	if json.Unmarshal(delivery.Body, &envelope) != nil || envelope.Message == "" {
		return
	}
	inner := map[string]any{}
	decoder := json.NewDecoder(strings.NewReader(envelope.Message))
	decoder.UseNumber()
	if decoder.Decode(&inner) != nil {
		return
	}
	m := message{Message: inner}
	m.Exchange, _ = delivery.Headers["exchange_name"].(string)
	if keys, ok := delivery.Headers["routing_keys"].([]any); ok && len(keys) > 0 {
		m.RoutingKey, _ = keys[0].(string)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch event, isEvent := inner["event_type"].(string); {
	case isEvent && strings.HasPrefix(event, progressEvents):
		return
	case isEvent:
		t.seen.notifications = append(t.seen.notifications, fmt.Sprintf("%s [%v]", event, inner["priority"]))
		t.seen.payloads = append(t.seen.payloads, inner)
	case inner["method"] != nil:
		t.seen.requests = append(t.seen.requests, m)
	case inner["ending"] != nil:
		t.seen.replies = append(t.seen.replies, m)
	default:
		return
	}
	t.last = time.Now()
}

func (t *tap) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen, t.last = traffic{}, time.Now()
}

// traffic returns what was seen since the last reset, and for how long nothing was.
func (t *tap) traffic() (traffic, time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seen, time.Since(t.last)
}

// publish puts an inner message on the broker as oslo.messaging does.
func (t *tap) publish(ctx context.Context, m message) error {
	inner, err := json.Marshal(m.Message)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"oslo.version": "2.0", "oslo.message": string(inner)})
	if err != nil {
		return err
	}
	return t.publishBody(ctx, m.Exchange, m.RoutingKey, body)
}

func (t *tap) publishBody(ctx context.Context, exchange, key string, body []byte) error {
	return t.channel.PublishWithContext(ctx, exchange, key, false, false, amqp.Publishing{
		ContentType: "application/json", ContentEncoding: "utf-8", DeliveryMode: 2, Expiration: "60000", Body: body,
	})
}
