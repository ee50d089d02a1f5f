package rabbit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/messaging"
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
	// BindEvery is how often exchanges and bindings are declared anew, since nothing tells of one that was deleted; 15 s
	// when zero.
	BindEvery time.Duration
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

// Handler takes one delivery; it may stand aside (messaging.StandAside). Its context is not cancelled when the server stops,
// so that it can finish accepting.
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
	if cfg.BindEvery <= 0 {
		cfg.BindEvery = 15 * time.Second
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
	movers.Go(func() { s.keepBound(moving, sess) })
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

// endpoint is a queue of this worker, and where its requests come from.
type endpoint struct {
	e   exchange
	q   queue
	key string
}

// endpoints are the three in the order in which oslo.messaging declares them.
func (s *Server) endpoints() []endpoint {
	o := &s.cfg.Options
	topic, own := o.topicExchange(s.cfg.Exchange), s.cfg.Topic+"."+s.cfg.Host
	return []endpoint{
		{topic, o.topicQueue(s.cfg.Topic), s.cfg.Topic},
		{topic, o.topicQueue(own), own},
		{o.fanoutExchange(s.cfg.Topic), s.fanout, s.cfg.Topic},
	}
}

// declare makes the queues and what leads to them.
func (s *Server) declare(sess *session) (*amqp.Channel, []string, error) {
	d, err := sess.declarer(s.cfg.Log)
	if err != nil {
		return nil, nil, err
	}
	names := make([]string, 0, 3)
	for _, want := range s.endpoints() {
		if err := d.bound(want.e, want.q, want.key); err != nil {
			return nil, nil, err
		}
		names = append(names, want.q.name)
	}
	if prefetch := s.cfg.Options.Prefetch; prefetch > 0 {
		if err := d.ch.Qos(prefetch, 0, false); err != nil {
			return nil, nil, fmt.Errorf("setting the prefetch count: %w", err)
		}
	}
	return d.ch, names, nil
}

// keepBound makes exchanges and bindings anew until ctx ends. When one is deleted the consumers stay and hear nothing of it,
// nor of any request.
func (s *Server) keepBound(ctx context.Context, sess *session) {
	ticker := time.NewTicker(s.cfg.BindEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := s.bindAgain(sess); err != nil && ctx.Err() == nil {
			s.cfg.Log.Warn().Err(err).Msg("making sure that requests find their way")
		}
	}
}

func (s *Server) bindAgain(sess *session) error {
	defer sess.guard(setupTimeout)()
	// Declarations that the broker holds otherwise were told of when the connection was made.
	d, err := sess.declarer(zerolog.Nop())
	if err != nil {
		return err
	}
	defer func() { d.close() }()
	for _, want := range s.endpoints() {
		missing, err := d.missing(want.e)
		if err != nil {
			return err
		}
		if missing {
			s.cfg.Log.Warn().Str("exchange", want.e.name).Msg("an exchange was deleted, making it again")
		}
		if err := d.bound(want.e, want.q, want.key); err != nil {
			return err
		}
	}
	return nil
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
		giveBack := sync.OnceFunc(func() { <-w.slots })
		defer giveBack()
		w.handle(messaging.WithPlace(context.WithoutCancel(ctx), giveBack), one)
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
