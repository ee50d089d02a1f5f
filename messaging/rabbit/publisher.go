package rabbit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	// maxChannels is how many messages can wait for their confirm at once. A retry holds no channel while it pauses.
	maxChannels = 32
	// confirmTimeout is how long a confirm may take before the message is sent again on another channel.
	confirmTimeout = 30 * time.Second
	retryPause     = 250 * time.Millisecond
	// logEvery keeps a message that cannot be sent from filling the log: one line per 10 s.
	logEvery = int(10 * time.Second / retryPause)
)

// ErrNoReplyQueue tells that the caller's reply queue did not appear within kombu_missing_consumer_retry_timeout: nobody
// waits for the reply any more.
var ErrNoReplyQueue = errors.New("the caller's reply queue does not exist")

// Publisher sends replies and notifications with publisher confirms over a connection of its own.
type Publisher struct {
	link

	mu      sync.Mutex
	pool    *pool
	changed chan struct{} // closed and replaced when pool changes
}

// NewPublisher checks the configuration. It does not connect.
func NewPublisher(cfg Config) (*Publisher, error) {
	if err := cfg.resolve(); err != nil {
		return nil, err
	}
	return &Publisher{link: link{cfg: cfg}, changed: make(chan struct{})}, nil
}

// Run keeps the connection until ctx ends. Reply and Notify wait while there is none.
func (p *Publisher) Run(ctx context.Context) {
	p.supervise(ctx, func(ctx context.Context, s *session, up func()) error {
		open := newPool(s)
		p.setPool(open)
		// Whoever waits for this connection's broker to take messages again learns that it is gone.
		defer open.setBlocked(false)
		defer p.setPool(nil)
		blocking := s.NotifyBlocked(make(chan amqp.Blocking, 1))
		up()
		for {
			select {
			case b, ok := <-blocking:
				if !ok {
					return s.wait(ctx)
				}
				p.refused(open, b)
			case err, ok := <-s.lost:
				if !ok || err == nil {
					return amqp.ErrClosed
				}
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
}

// refused notes that the broker takes nothing for now, or again: while its memory or its disk runs short it reads nothing
// from connections that publish.
func (p *Publisher) refused(open *pool, b amqp.Blocking) {
	host := p.Status().Host
	if b.Active {
		p.cfg.Log.Warn().Str("broker", host).Str("reason", b.Reason).Msg("RabbitMQ takes no messages, waiting for it")
		open.setBlocked(true)
		p.set(Status{Connected: true, Host: host, Err: fmt.Errorf("RabbitMQ takes no messages: %s", b.Reason)})
		return
	}
	p.cfg.Log.Info().Str("broker", host).Msg("RabbitMQ takes messages again")
	open.setBlocked(false)
	p.set(Status{Connected: true, Host: host})
}

func (p *Publisher) setPool(open *pool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pool = open
	close(p.changed)
	p.changed = make(chan struct{})
}

// connected waits for the connection.
func (p *Publisher) connected(ctx context.Context) (*pool, error) {
	for {
		p.mu.Lock()
		open, changed := p.pool, p.changed
		p.mu.Unlock()
		if open != nil {
			return open, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for RabbitMQ: %w", ctx.Err())
		}
	}
}

// Reply sends body to a caller's reply queue and returns once the broker has it. While the queue is missing it tries
// again every 0.25 s, for kombu_missing_consumer_retry_timeout at most, and then returns ErrNoReplyQueue. It waits for the
// connection until ctx ends.
func (p *Publisher) Reply(ctx context.Context, replyQ string, body []byte) error {
	var missingSince time.Time
	return p.publish(ctx, func(ctx context.Context, open *pool) (done bool, err error) {
		returned, err := open.publish(ctx, "", replyQ, true, body)
		if err != nil || !returned {
			return err == nil, err
		}
		if missingSince.IsZero() {
			missingSince = time.Now()
		}
		if time.Since(missingSince) >= p.cfg.Options.MissingConsumerTimeout {
			return true, fmt.Errorf("%w: %s", ErrNoReplyQueue, replyQ)
		}
		return false, nil
	})
}

// Notify sends body to routingKey (<topic>.<level>) at the exchange and returns once the broker has it. The queue of that
// name is declared as oslo.messaging's notifier does, so that events pile up even while nobody listens; one that was deleted
// since is made again.
func (p *Publisher) Notify(ctx context.Context, routingKey string, body []byte) error {
	return p.publish(ctx, func(ctx context.Context, open *pool) (bool, error) {
		if err := p.declareOnce(open, routingKey); err != nil {
			return false, err
		}
		returned, err := open.publish(ctx, p.cfg.Exchange, routingKey, true, body)
		if err != nil || returned {
			open.forget(routingKey)
			return false, err
		}
		return true, nil
	})
}

// Publish sends body to routingKey at the exchange without declaring a queue: what nobody listens to is dropped. It returns
// once the broker has taken it.
func (p *Publisher) Publish(ctx context.Context, routingKey string, body []byte) error {
	return p.publish(ctx, func(ctx context.Context, open *pool) (bool, error) {
		_, err := open.publish(ctx, p.cfg.Exchange, routingKey, false, body)
		return err == nil, err
	})
}

// publish calls send until it is done or ctx ends. An error of a send that is not done is the connection's, and sending
// goes on: receivers drop what they get twice by its _unique_id.
func (p *Publisher) publish(ctx context.Context, send func(context.Context, *pool) (done bool, err error)) error {
	for attempt := 0; ; attempt++ {
		open, err := p.connected(ctx)
		if err != nil {
			return err
		}
		done, err := send(ctx, open)
		if done {
			return err
		}
		if err != nil && attempt%logEvery == 0 {
			p.cfg.Log.Warn().Err(err).Int("attempt", attempt+1).Msg("publishing failed, trying again")
		}
		sleep(ctx, retryPause)
		if ctx.Err() != nil {
			return fmt.Errorf("publishing: %w", errors.Join(ctx.Err(), err))
		}
	}
}

// declareOnce declares a notification queue at its first use on a connection.
func (p *Publisher) declareOnce(open *pool, routingKey string) error {
	open.declaring.Lock()
	defer open.declaring.Unlock()
	if open.declared[routingKey] {
		return nil
	}
	defer open.s.guard(setupTimeout)()
	d, err := open.s.declarer(p.cfg.Log)
	if err != nil {
		return err
	}
	defer d.close()
	o := &p.cfg.Options
	if err := d.bound(o.topicExchange(p.cfg.Exchange), o.topicQueue(routingKey), routingKey); err != nil {
		return err
	}
	open.declared[routingKey] = true
	return nil
}

// pool holds the confirm channels of one connection. Each is used by one message at a time, which makes it certain whose
// a returned message is.
type pool struct {
	s     *session
	slots chan struct{}

	mu sync.Mutex
	// flow is closed while the broker takes messages.
	flow chan struct{}
	idle []*confirmChannel
	// stale channels wait for a confirm that nobody waits for any more; the next taker closes them.
	stale []*confirmChannel

	declaring sync.Mutex
	declared  map[string]bool
}

type confirmChannel struct {
	*amqp.Channel
	returns chan amqp.Return
}

func newPool(s *session) *pool {
	p := &pool{s: s, slots: make(chan struct{}, maxChannels), flow: make(chan struct{}), declared: map[string]bool{}}
	close(p.flow)
	return p
}

func (p *pool) setBlocked(blocked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.flow:
		if blocked {
			p.flow = make(chan struct{})
		}
	default:
		if !blocked {
			close(p.flow)
		}
	}
}

// flowing is closed while the broker takes messages.
func (p *pool) flowing() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.flow
}

func (p *pool) forget(routingKey string) {
	p.declaring.Lock()
	defer p.declaring.Unlock()
	delete(p.declared, routingKey)
}

// publish sends one message and waits for its confirm. returned tells that no queue took it.
func (p *pool) publish(ctx context.Context, exchange, key string, mandatory bool, body []byte) (returned bool, err error) {
	select {
	case <-p.flowing():
	case <-ctx.Done():
		return false, ctx.Err()
	}
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	defer func() { <-p.slots }()
	ch, err := p.take()
	if err != nil {
		return false, err
	}
	returned, err = p.send(ctx, ch, exchange, key, mandatory, body)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.stale = append(p.stale, ch)
		return false, err
	}
	p.idle = append(p.idle, ch)
	return returned, nil
}

func (p *pool) send(ctx context.Context, ch *confirmChannel, exchange, key string, mandatory bool, body []byte) (bool, error) {
	release := p.s.guard(writeTimeout + closeTimeout)
	confirm, err := ch.PublishWithDeferredConfirm(exchange, key, mandatory, false, amqp.Publishing{
		Headers: amqp.Table{}, ContentType: "application/json", ContentEncoding: "utf-8", DeliveryMode: amqp.Persistent,
		Body: body,
	})
	release()
	if err != nil {
		return false, err
	}
	if err := p.awaitConfirm(ctx, confirm); err != nil {
		return false, err
	}
	if !confirm.Acked() {
		return false, errors.New("the broker did not take a message")
	}
	// A message that is returned is confirmed after that, so its return is in the channel by now.
	select {
	case <-ch.returns:
		return true, nil
	default:
		return false, nil
	}
}

// awaitConfirm waits for a confirm. A broker that takes nothing for now still has the message before it: to send it again
// would only double it.
func (p *pool) awaitConfirm(ctx context.Context, confirm *amqp.DeferredConfirmation) error {
	timer := time.NewTimer(confirmTimeout)
	defer timer.Stop()
	for {
		select {
		case <-confirm.Done():
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
		}
		select {
		case <-p.flowing():
			return errors.New("the broker did not confirm a message in time")
		default:
			timer.Reset(confirmTimeout)
		}
	}
}

func (p *pool) take() (*confirmChannel, error) {
	p.mu.Lock()
	stale := p.stale
	p.stale = nil
	var ch *confirmChannel
	if n := len(p.idle); n > 0 {
		ch, p.idle = p.idle[n-1], p.idle[:n-1]
	}
	p.mu.Unlock()

	defer p.s.guard(setupTimeout)()
	for _, old := range stale {
		_ = old.Close()
	}
	if ch != nil {
		return ch, nil
	}
	fresh, err := p.s.Channel()
	if err != nil {
		return nil, fmt.Errorf("opening a channel: %w", err)
	}
	if err := fresh.Confirm(false); err != nil {
		return nil, fmt.Errorf("asking for publisher confirms: %w", err)
	}
	return &confirmChannel{fresh, fresh.NotifyReturn(make(chan amqp.Return, 1))}, nil
}
