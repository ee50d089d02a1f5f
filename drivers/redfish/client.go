package redfish

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/bmc"
)

// sessionKey is what two nodes must agree in to share a session. The password is in it as a keyed hash, so that a changed
// password asks for a new session and no copy of it lies about.
type sessionKey struct {
	address, prefix, username, auth string
	verify                          Verify
	dialect                         Dialect
	timeout                         time.Duration
	password                        [sha256.Size]byte
}

// Client holds the sessions with all BMCs. It is safe for concurrent use; different BMCs never wait for each other.
type Client struct {
	cfg  Config
	log  zerolog.Logger
	seed [32]byte
	// lines are the ways to BMCs.
	lines *bmc.Lines

	mu       sync.Mutex
	sessions map[sessionKey]*session
	closed   bool
	// farewells are the logouts under way in the background.
	farewells sync.WaitGroup
}

// New returns a Client that knows no BMC yet.
func New(cfg Config, log zerolog.Logger) *Client {
	c := &Client{cfg: cfg, log: log, sessions: map[sessionKey]*session{},
		lines: bmc.NewLines(cfg.ProbePause, cfg.LongestProbePause, log)}
	_, _ = rand.Read(c.seed[:]) // crypto/rand.Read never fails
	return c
}

// errClosed is the answer to work that comes after Close.
var errClosed = errors.New("the sessions with the BMCs are closed")

// maxFarewells bounds how many BMCs are logged out of at once.
const maxFarewells = 50

// Silent is how many BMCs do not answer at the moment.
func (c *Client) Silent() int { return c.lines.Silent() }

// Close logs out of every BMC, many at once, and returns when all is done or ctx is over. No work may be under way.
func (c *Client) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	var open []*session
	for key, s := range c.sessions {
		open = append(open, s)
		delete(c.sessions, key)
	}
	c.mu.Unlock()
	slots := make(chan struct{}, maxFarewells)
	for _, s := range open {
		slots <- struct{}{}
		c.farewells.Go(func() {
			defer bmc.Leave(slots)
			c.farewell(ctx, s)
		})
	}
	c.farewells.Wait()
	return ctx.Err()
}

// farewell is the end of a session: it logs out. A BMC that does not listen keeps its session until that expires, which is no
// reason to fail.
func (c *Client) farewell(ctx context.Context, s *session) {
	defer c.lines.Drop(s.line)
	ctx, cancel := context.WithTimeout(ctx, c.cfg.LogoutTimeout)
	defer cancel()
	if err := s.logout(ctx); err != nil {
		c.log.Warn().Err(err).Str("bmc", s.address).Msg("a Redfish session could not be ended")
	}
}

func (c *Client) key(t target) sessionKey {
	mac := hmac.New(sha256.New, c.seed[:])
	mac.Write([]byte(t.password))
	key := sessionKey{address: t.address, prefix: t.prefix, username: t.username, auth: t.auth, verify: t.verify,
		dialect: t.dialect, timeout: t.timeout}
	mac.Sum(key.password[:0])
	return key
}

// acquire returns the session with a BMC, a new one when there is none. The caller releases it.
func (c *Client) acquire(t target) (*session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errClosed
	}
	key := c.key(t)
	s := c.sessions[key]
	if s == nil {
		var err error
		if s, err = newSession(t, c.cfg); err != nil {
			return nil, err
		}
		s.line = c.lines.To(t.address)
		c.sessions[key] = s
	}
	s.users++
	s.used = time.Now()
	return s, nil
}

// release gives a session back. The ones used least recently leave when there are more than are to be kept. A spoilt one is
// kept for nobody else.
func (c *Client) release(s *session, spoilt bool) {
	c.mu.Lock()
	s.users--
	s.used = time.Now()
	leaving := c.surplus()
	if key := c.key(s.target); spoilt && c.sessions[key] == s {
		delete(c.sessions, key)
	}
	if c.sessions[c.key(s.target)] != s && s.users == 0 && !slices.Contains(leaving, s) {
		leaving = append(leaving, s)
	}
	for _, one := range leaving {
		c.farewells.Go(func() { c.farewell(context.Background(), one) })
	}
	c.mu.Unlock()
}

// surplus takes idle sessions out of the cache until it is as small as it should be.
func (c *Client) surplus() []*session {
	over := len(c.sessions) - c.cfg.CacheSize
	if over <= 0 {
		return nil
	}
	var idle []*session
	for _, s := range c.sessions {
		if s.users == 0 {
			idle = append(idle, s)
		}
	}
	slices.SortFunc(idle, func(a, b *session) int { return cmp.Compare(a.used.UnixNano(), b.used.UnixNano()) })
	idle = idle[:min(over, len(idle))]
	for _, s := range idle {
		delete(c.sessions, c.key(s.target))
	}
	return idle
}

// visit calls do with the ComputerSystem that is found at where. failed words what went wrong; nil stands for the errors of the
// type redfish.
func (c *Client) visit(ctx context.Context, t *drivers.Task, where target, failed func(reason string) error,
	do func(*system) error) error {
	if !spoken(where.address) {
		return unspoken(t.Node.UUID, where.address, failed)
	}
	ctx = bmc.WithAsking(ctx, bmc.Asking{Routine: t.Routine})
	sys, err := c.open(ctx, where)
	if untrusted(err) {
		// The file of trusted certificates may have been replaced since the session read it.
		sys, err = c.open(ctx, where)
	}
	var notOpen *notOpened
	switch {
	case errors.As(err, &notOpen):
		return notOpen.session.failure(ctx, t.Node.UUID, notOpen.cause, failed)
	case err != nil:
		return err
	}
	sys.task, sys.failed = t, failed
	err = do(sys)
	c.release(sys.session, spoils(err))
	return sys.session.failure(ctx, t.Node.UUID, err, failed, sys.secrets...)
}

// notOpened is a BMC that does not show its ComputerSystem.
type notOpened struct {
	session *session
	cause   error
}

func (e *notOpened) Error() string { return e.cause.Error() }
func (e *notOpened) Unwrap() error { return e.cause }

// open acquires the session with a BMC and reads the system through it. The caller releases the session of the system; after
// an error there is nothing to release.
func (c *Client) open(ctx context.Context, where target) (*system, error) {
	s, err := c.acquire(where)
	if err != nil {
		return nil, err
	}
	sys, err := openSystem(ctx, s, where.systemID)
	if err != nil {
		c.release(s, spoils(err))
		return nil, &notOpened{s, err}
	}
	return sys, nil
}

// spoils tells that nobody shall begin with a session any more that ran into err: its credentials are refused, or what it
// trusts does not fit.
func spoils(err error) bool { return statusOf(err) == 401 || untrusted(err) }
