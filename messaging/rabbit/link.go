package rabbit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/rs/zerolog"
)

// Config says which broker to use and how.
type Config struct {
	// URL is a transport_url; its query overrides Options.
	URL     string
	Options Options
	// Exchange is control_exchange, "ironic" unless configured otherwise.
	Exchange string
	// Name is shown as the connection's name in RabbitMQ's management.
	Name string
	Log  zerolog.Logger

	url URL
}

// resolve parses the URL and refuses a configuration that cannot work.
func (c *Config) resolve() error {
	var err error
	if c.url, err = ParseURL(c.URL); err != nil {
		return err
	}
	for name, value := range c.url.Query {
		if err := c.Options.Set(name, value); err != nil {
			return fmt.Errorf("transport_url: %w", err)
		}
	}
	rand.Shuffle(len(c.url.Hosts), func(i, j int) {
		c.url.Hosts[i], c.url.Hosts[j] = c.url.Hosts[j], c.url.Hosts[i]
	})
	return c.Options.validate()
}

// Status tells how a connection is doing.
type Status struct {
	Connected bool
	// Host is the broker in use, or the one tried last.
	Host string
	// Err is why there is no connection, or why the broker takes nothing on it; nil while all is well.
	Err error
	// Since is when it became so: connected, away or refusing.
	Since time.Time
}

// OK tells that the connection stands and that the broker takes what is sent.
func (s Status) OK() bool { return s.Connected && s.Err == nil }

// link keeps one connection to the broker alive.
type link struct {
	cfg Config

	mu     sync.Mutex
	status Status
}

// Status returns how the connection is doing.
func (l *link) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}

// Connected reports whether the connection stands and everything on it is declared.
func (l *link) Connected() bool { return l.Status().Connected }

func (l *link) set(s Status) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.Since = l.status.Since; s.Since.IsZero() || s.OK() != l.status.OK() {
		s.Since = time.Now()
	}
	l.status = s
}

// session is one connection while it lasts.
type session struct {
	*amqp.Connection
	raw  net.Conn
	lost chan *amqp.Error
}

// guard closes the connection when the caller takes longer than limit: calls of the AMQP library can hang for ever on a
// network that went silent. The caller must call release when it is through.
func (s *session) guard(limit time.Duration) (release func()) {
	timer := time.AfterFunc(limit, func() { s.raw.Close() })
	return func() { timer.Stop() }
}

// setupTimeout bounds declaring and subscribing on a fresh connection.
const setupTimeout = 30 * time.Second

// supervise connects, hands the connection to use and waits for it to return; then it starts over until ctx ends. use
// calls up once everything is declared: only then the link counts as connected and the backoff starts anew. Hosts are
// tried in turn; a pause is made when each of them failed once.
func (l *link) supervise(ctx context.Context, use func(ctx context.Context, s *session, up func()) error) {
	var pause time.Duration
	for attempt := 0; ctx.Err() == nil; attempt++ {
		host := l.cfg.url.Hosts[attempt%len(l.cfg.url.Hosts)]
		wasUp, err := l.connectOnce(ctx, host, use)
		if ctx.Err() != nil {
			return
		}
		l.cfg.Log.Warn().Err(err).Str("broker", host.Address()).Bool("was_connected", wasUp).Msg("no connection to RabbitMQ")
		switch {
		case wasUp:
			pause = 0
			sleep(ctx, jitter(l.cfg.Options.ReconnectDelay))
		case (attempt+1)%len(l.cfg.url.Hosts) == 0:
			pause = l.cfg.Options.nextPause(pause)
			sleep(ctx, jitter(pause))
		}
	}
}

func (l *link) connectOnce(ctx context.Context, host Host, use func(context.Context, *session, func()) error) (wasUp bool, err error) {
	defer func() { l.set(Status{Host: host.Address(), Err: err}) }()
	conn, raw, err := l.cfg.dial(ctx, host)
	if err != nil {
		return false, err
	}
	s := &session{Connection: conn, raw: raw, lost: conn.NotifyClose(make(chan *amqp.Error, 1))}
	defer s.close()
	release := s.guard(setupTimeout)
	defer release()
	abandon := context.AfterFunc(ctx, func() { raw.Close() })
	defer abandon()
	err = use(ctx, s, func() {
		release()
		abandon()
		wasUp = true
		l.set(Status{Connected: true, Host: host.Address()})
		l.cfg.Log.Info().Str("broker", host.Address()).Msg("connected to RabbitMQ")
	})
	return wasUp, err
}

func (s *session) close() {
	defer s.guard(closeTimeout)()
	_ = s.CloseDeadline(time.Now().Add(closeTimeout))
	s.raw.Close()
}

// wait returns why the connection ended.
func (s *session) wait(ctx context.Context) error {
	select {
	case err, ok := <-s.lost:
		if !ok || err == nil {
			return amqp.ErrClosed
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// nextPause is oslo.messaging's: 1, 3, 5 ... 30 seconds with the default options.
func (o *Options) nextPause(last time.Duration) time.Duration {
	if last == 0 {
		return o.RetryInterval
	}
	return min(last+o.RetryBackoff, o.RetryMax)
}

// jitter spreads the workers that lost the same broker over up to a quarter more than d.
func jitter(d time.Duration) time.Duration {
	if d < 4 {
		return d
	}
	return d + rand.N(d/4)
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// Check connects once to each broker of the URL in turn and returns the address of the first that lets this client in.
func Check(ctx context.Context, cfg Config) (address string, err error) {
	if err := cfg.resolve(); err != nil {
		return "", err
	}
	var failures []error
	for _, host := range cfg.url.Hosts {
		conn, raw, err := cfg.dial(ctx, host)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		(&session{Connection: conn, raw: raw}).close()
		return host.Address(), nil
	}
	return "", errors.Join(failures...)
}
