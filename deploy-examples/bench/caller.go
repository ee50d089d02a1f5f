package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ironmaster/ironmaster/messaging/oslo"
)

// The names of ironic's exchange and topic.
const (
	exchange = "ironic"
	topic    = "ironic.conductor_manager"
)

// callTimeout is ironic-api's rpc_response_timeout.
const callTimeout = 60 * time.Second

// call is one RPC: the method, the version that ironic-api 21.4 asks for, and the arguments.
type call struct {
	method, version string
	args            map[string]any
}

// message is a call as it is sent. What differs from one sending to the next is put in its places: encoding anew would take
// processor time from the conductor.
type message struct {
	method string
	body   []byte
}

// Stand-ins for the two ids of a request, of their length.
var msgIDMark, uniqueIDMark = strings.Repeat("m", 32), strings.Repeat("u", 32)

// message encodes a call.
func (c *caller) message(r call) (message, error) {
	args := make(map[string]json.RawMessage, len(r.args))
	for name, value := range r.args {
		text, err := json.Marshal(value)
		if err != nil {
			return message{}, fmt.Errorf("encoding %s of %s: %w", name, r.method, err)
		}
		args[name] = text
	}
	request := oslo.Request{Method: r.method, Version: r.version, Args: args, Context: oslo.AdminContext(), MsgID: msgIDMark,
		UniqueID: uniqueIDMark, ReplyQ: c.replyQueue}
	body, err := request.Encode()
	if err != nil {
		return message{}, fmt.Errorf("encoding %s: %w", r.method, err)
	}
	return message{r.method, body}, nil
}

// driverProperties needs neither a node nor the database.
var driverProperties = call{"get_driver_properties", "1.16", map[string]any{"driver_name": "fake-hardware"}}

// caller sends RPC as ironic-api does: requests on one channel, replies on a queue of its own, matched by _msg_id. Any
// number of goroutines share it.
type caller struct {
	connection *amqp.Connection
	channel    *amqp.Channel
	replyQueue string

	mu      sync.Mutex
	waiting map[string]chan *oslo.Reply
}

func newCaller(transportURL string) (*caller, error) {
	connection, err := amqp.Dial(strings.Replace(transportURL, "rabbit://", "amqp://", 1))
	if err != nil {
		return nil, fmt.Errorf("connecting to RabbitMQ: %w", err)
	}
	c := &caller{connection: connection, replyQueue: "reply_" + newID(),
		waiting: map[string]chan *oslo.Reply{}}
	if err := c.listen(); err != nil {
		return nil, errors.Join(fmt.Errorf("listening for replies: %w", err), connection.Close())
	}
	return c, nil
}

func (c *caller) listen() error {
	replies, err := c.connection.Channel()
	if err != nil {
		return err
	}
	if _, err := replies.QueueDeclare(c.replyQueue, false, true, true, false, nil); err != nil {
		return err
	}
	deliveries, err := replies.Consume(c.replyQueue, "", true, true, false, false, nil)
	if err != nil {
		return err
	}
	if c.channel, err = c.connection.Channel(); err != nil {
		return err
	}
	go func() {
		for d := range deliveries {
			if reply, err := oslo.DecodeReply(d.Body); err == nil {
				c.take(reply)
			}
		}
	}()
	return nil
}

// take hands a reply to whoever waits for it. Signs of life in between are not asked for and do not come.
func (c *caller) take(reply *oslo.Reply) {
	c.mu.Lock()
	waiting := c.waiting[reply.MsgID]
	delete(c.waiting, reply.MsgID)
	c.mu.Unlock()
	if waiting != nil {
		waiting <- reply
	}
}

// declare makes the queue of a conductor exactly as the conductor does, so that requests wait for it.
func (c *caller) declare(host string) error {
	if err := c.channel.ExchangeDeclare(exchange, "topic", false, false, false, false, nil); err != nil {
		return fmt.Errorf("declaring the exchange: %w", err)
	}
	queue := topic + "." + host
	if _, err := c.channel.QueueDeclare(queue, false, false, false, false, nil); err != nil {
		return fmt.Errorf("declaring the conductor's queue: %w", err)
	}
	return c.channel.QueueBind(queue, queue, exchange, false, nil)
}

// pending is a call under way.
type pending struct {
	method string
	reply  chan *oslo.Reply
}

// send publishes a call to a conductor.
func (c *caller) send(ctx context.Context, host string, m message) (pending, error) {
	id, unique := newID(), newID()
	body := bytes.Replace(bytes.Replace(m.body, []byte(msgIDMark), []byte(id), 1), []byte(uniqueIDMark), []byte(unique), 1)
	p := pending{m.method, make(chan *oslo.Reply, 1)}
	c.mu.Lock()
	c.waiting[id] = p.reply
	c.mu.Unlock()
	err := c.channel.PublishWithContext(ctx, exchange, topic+"."+host, false, false, amqp.Publishing{
		ContentType: "application/json", ContentEncoding: "utf-8", DeliveryMode: amqp.Persistent,
		Expiration: strconv.FormatInt(callTimeout.Milliseconds(), 10), Body: body,
	})
	if err != nil {
		return pending{}, fmt.Errorf("sending %s: %w", m.method, err)
	}
	return p, nil
}

// newID returns an id as oslo.messaging makes them.
func newID() string {
	id := uuid.New()
	return hex.EncodeToString(id[:])
}

// wait returns how the call ended.
func (p pending) wait(ctx context.Context) error {
	timer := time.NewTimer(callTimeout)
	defer timer.Stop()
	select {
	case reply := <-p.reply:
		if reply.Failure != nil {
			return fmt.Errorf("%s failed: %s: %s", p.method, reply.Failure.Class, reply.Failure.Message)
		}
		return nil
	case <-timer.C:
		return fmt.Errorf("%s was not answered within %s", p.method, callTimeout)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *caller) close() { _ = c.connection.Close() }
