package redfish

import (
	"context"
	"time"

	"github.com/rs/zerolog"
)

// line is the way to one BMC. Everybody who speaks to that address shares it, whatever their nodes and credentials: BMCs
// are small, and chassis have one for many nodes. One request at a time is on its way, the others wait in order.
type line struct {
	log zerolog.Logger
	// turn is held by whoever speaks to the BMC.
	turn    chan struct{}
	circuit circuit

	// sessions is how many sessions use the line. The client's lock guards it.
	sessions int
}

func newLine(address string, cfg Config, log zerolog.Logger) *line {
	return &line{log: log.With().Str("bmc", address).Logger(), turn: make(chan struct{}, 1),
		circuit: circuit{shortest: cfg.ProbePause, longest: cfg.LongestProbePause}}
}

// asking is what a request's context tells about it.
type asking struct {
	// routine work is refused while the BMC is silent.
	routine bool
	// since is when the request was asked for; zero stands for the moment at which it waits for its turn.
	since time.Time
}

type askingKey struct{}

func withAsking(ctx context.Context, a asking) context.Context {
	return context.WithValue(ctx, askingKey{}, a)
}

func askingOf(ctx context.Context) asking {
	a, _ := ctx.Value(askingKey{}).(asking)
	return a
}

// enter waits for the BMC's turn; the caller leaves. A silent BMC is refused as the circuit has it.
func (l *line) enter(ctx context.Context) error {
	a := askingOf(ctx)
	if a.since.IsZero() {
		a.since = time.Now()
	}
	if err := enter(ctx, l.turn); err != nil {
		return err
	}
	if err := l.circuit.admit(a.routine, a.since); err != nil {
		leave(l.turn)
		return err
	}
	return nil
}

func (l *line) leave() { leave(l.turn) }

// note learns from what came of a request.
func (l *line) note(err error) {
	if err != nil && unanswered(err) {
		if l.circuit.failed(err) {
			l.log.Warn().Err(err).Int("requests", breakAfter).Msg("A BMC does not answer; until it does, only what is asked " +
				"for is tried, and the rest now and then")
		}
		return
	}
	if silence := l.circuit.answered(); silence > 0 {
		l.log.Info().Dur("silence", silence).Msg("A BMC answers again")
	}
}

// enter waits for a place that one at a time may hold, in order.
func enter(ctx context.Context, turn chan struct{}) error {
	select {
	case turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func leave(turn chan struct{}) { <-turn }

// linesKept is how long a line is remembered after the latest request to a BMC that does not answer.
const linesKept = time.Hour

// lineTo returns the line to an address for one more session. The client's lock is held.
func (c *Client) lineTo(address string) *line {
	l := c.lines[address]
	if l == nil {
		if time.Since(c.swept) > linesKept {
			c.sweep()
		}
		l = newLine(address, c.cfg, c.log)
		c.lines[address] = l
	}
	l.sessions++
	return l
}

// unline takes a session off its line. A silent BMC is remembered without any.
func (c *Client) unline(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.line.sessions--
	c.dropLine(s.address)
}

func (c *Client) sweep() {
	c.swept = time.Now()
	for address := range c.lines {
		c.dropLine(address)
	}
}

func (c *Client) dropLine(address string) {
	if l := c.lines[address]; l.sessions == 0 && l.circuit.stale(linesKept) {
		delete(c.lines, address)
	}
}

// Silent is how many BMCs do not answer at the moment.
func (c *Client) Silent() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	silent := 0
	for _, l := range c.lines {
		if l.circuit.silent() {
			silent++
		}
	}
	return silent
}
