package rabbit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// ServerConfig says which requests a Server takes.
type ServerConfig struct {
	Config
	// Topic is the RPC topic, ironic.conductor_manager for ironic.
	Topic string
	// Host is this worker's name, [DEFAULT]host: requests for it come to the queue <topic>.<host>.
	Host string
	// Concurrency is how many handlers run at once, [DEFAULT]executor_thread_pool_size; 64 when zero.
	Concurrency int
	// MaxInflated bounds the size in bytes of a compressed message once inflated; 64 MiB when zero.
	MaxInflated int
	// Drain is how long the connection stays for running handlers once Serve is told to stop; 10 s when zero.
	Drain time.Duration
}

// Delivery is one message taken from a queue. It must be acked; one that is not comes again after a
// reconnect.
type Delivery struct {
	Body []byte

	message *amqp.Delivery
}

// Ack tells the broker to forget the message. An error means that the connection went away: the message will come again.
func (d *Delivery) Ack() error { return d.message.Ack(false) }

// Handler takes one delivery. Its context is not cancelled when the server stops, so that it can finish accepting.
type Handler func(ctx context.Context, d *Delivery)

// Server takes the requests for one worker from its three queues.
type Server struct {
	link
	cfg    ServerConfig
	fanout queue
}

// NewServer checks the configuration. It does not connect.
func NewServer(cfg ServerConfig) (*Server, error) {
	if err := cfg.resolve(); err != nil {
		return nil, err
	}
	if cfg.Concurrency <= 0 {
		cfg.Concurrency = 64
	}
	if cfg.MaxInflated <= 0 {
		cfg.MaxInflated = 64 << 20
	}
	if cfg.Drain <= 0 {
		cfg.Drain = 10 * time.Second
	}
	return &Server{link: link{cfg: cfg.Config}, cfg: cfg, fanout: cfg.Options.fanoutQueue(cfg.Topic)}, nil
}

// Serve connects, declares the queues, and hands deliveries to handle until ctx ends; it comes back by itself after the
// connection was lost. Status tells when it listens. When ctx ends it cancels the consumers, lets the running handlers
// finish, deletes the fanout queue and returns. Deliveries that no handler has seen go back to their queue. A handler that
// runs longer than ServerConfig.Drain is still waited for, but can not ack any more.
func (s *Server) Serve(ctx context.Context, handle Handler) {
	w := &workers{handle: handle, slots: make(chan struct{}, s.cfg.Concurrency)}
	defer w.running.Wait()
	s.supervise(ctx, func(ctx context.Context, sess *session, up func()) error { return s.serveOn(ctx, sess, up, w) })
}

func (s *Server) serveOn(ctx context.Context, sess *session, up func(), w *workers) error {
	ch, queues, err := s.declare(sess)
	if err != nil {
		return err
	}
	// Each consumer's deliveries are moved by a goroutine of its own, which ends with its channel or with moving.
	moving, stopMoving := context.WithCancel(ctx)
	var movers sync.WaitGroup
	defer movers.Wait()
	defer stopMoving()
	ended := make(chan struct{}, len(queues))
	args := amqp.Table{}
	if s.cfg.Options.CancelOnFailover {
		args["x-cancel-on-ha-failover"] = true
	}
	for i, name := range queues {
		deliveries, err := ch.Consume(name, strconv.Itoa(i+1), false, false, false, false, args)
		if err != nil {
			return fmt.Errorf("consuming from %s: %w", name, err)
		}
		movers.Go(func() {
			s.move(moving, deliveries, w)
			ended <- struct{}{}
		})
	}
	up()
	select {
	case <-ctx.Done():
	case <-ended:
	}
	if ctx.Err() != nil {
		movers.Wait()
		s.leave(sess, ch, queues, w)
		return ctx.Err()
	}
	// A consumer ends when its queue was deleted, the channel was refused something, or the connection is gone.
	select {
	case err, ok := <-sess.lost:
		if ok && err != nil {
			return err
		}
	case <-time.After(time.Second):
	}
	return errors.New("the broker ended a consumer")
}

func (s *Server) move(ctx context.Context, deliveries <-chan amqp.Delivery, w *workers) {
	for {
		select {
		case <-ctx.Done():
			return
		case d, ok := <-deliveries:
			if !ok {
				return
			}
			s.dispatch(ctx, d, w)
		}
	}
}

// declare makes the three queues in the order in which oslo.messaging does.
func (s *Server) declare(sess *session) (*amqp.Channel, []string, error) {
	o := &s.cfg.Options
	d, err := sess.declarer(s.cfg.Log)
	if err != nil {
		return nil, nil, err
	}
	topic := o.topicExchange(s.cfg.Exchange)
	names := make([]string, 0, 3)
	for _, want := range []struct {
		e   exchange
		q   queue
		key string
	}{
		{topic, o.topicQueue(s.cfg.Topic), s.cfg.Topic},
		{topic, o.topicQueue(s.cfg.Topic + "." + s.cfg.Host), s.cfg.Topic + "." + s.cfg.Host},
		{o.fanoutExchange(s.cfg.Topic), s.fanout, s.cfg.Topic},
	} {
		if err := d.bound(want.e, want.q, want.key); err != nil {
			return nil, nil, err
		}
		names = append(names, want.q.name)
	}
	if o.Prefetch > 0 {
		if err := d.ch.Qos(o.Prefetch, 0, false); err != nil {
			return nil, nil, fmt.Errorf("setting the prefetch count: %w", err)
		}
	}
	return d.ch, names, nil
}

// workers run the handlers of one Serve, across connections.
type workers struct {
	handle  Handler
	slots   chan struct{}
	running sync.WaitGroup
}

// dispatch runs the handler in a goroutine of its own once a slot is free.
func (s *Server) dispatch(ctx context.Context, d amqp.Delivery, w *workers) {
	body, err := inflate(d.Headers, d.Body, s.cfg.MaxInflated)
	if err != nil {
		s.cfg.Log.Error().Err(err).Str("routing_key", d.RoutingKey).Msg("dropping a message that cannot be read")
		_ = d.Reject(false)
		return
	}
	select {
	case w.slots <- struct{}{}:
	case <-ctx.Done():
		return
	}
	one := &Delivery{Body: body, message: &d}
	w.running.Go(func() {
		defer func() { <-w.slots }()
		w.handle(context.WithoutCancel(ctx), one)
	})
}

// leave is the orderly end: no new deliveries, the running handlers finish, the fanout queue goes.
func (s *Server) leave(sess *session, ch *amqp.Channel, queues []string, w *workers) {
	defer sess.guard(s.cfg.Drain + setupTimeout)()
	for i, name := range queues {
		if err := ch.Cancel(strconv.Itoa(i+1), false); err != nil {
			s.cfg.Log.Warn().Err(err).Str("queue", name).Msg("cancelling a consumer")
		}
	}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		w.running.Wait()
	}()
	select {
	case <-finished:
	case <-time.After(s.cfg.Drain):
	}
	if _, err := ch.QueueDelete(s.fanout.name, false, false, false); err != nil {
		s.cfg.Log.Warn().Err(err).Str("queue", s.fanout.name).Msg("deleting the fanout queue")
	}
}
