// Package bmc is the way to the machines' controllers that every technology shares: one request at a time is on its way to each,
// and one that has fallen silent delays nobody but its own node.
package bmc

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Line is the way to one BMC. Everybody who speaks to that address shares it, whatever their nodes and credentials: BMCs
// are small, and chassis have one for many nodes. One request at a time is on its way, the others wait in order.
type Line struct {
	log     zerolog.Logger
	address string
	// turn is held by whoever speaks to the BMC.
	turn    chan struct{}
	circuit circuit

	// users is how many hold the line. The lock of Lines guards it.
	users int
}

// Asking is what a request's context tells about it.
type Asking struct {
	// Routine work is refused while the BMC is silent.
	Routine bool
	// Since is when the request was asked for; zero stands for the moment at which it waits for its turn.
	Since time.Time
}

type askingKey struct{}

// WithAsking returns a context for requests as a tells.
func WithAsking(ctx context.Context, a Asking) context.Context {
	return context.WithValue(ctx, askingKey{}, a)
}

// AskingOf returns what WithAsking left in a context.
func AskingOf(ctx context.Context) Asking {
	a, _ := ctx.Value(askingKey{}).(Asking)
	return a
}

// Enter waits for the BMC's turn; the caller leaves. A silent BMC is refused as the circuit has it.
func (l *Line) Enter(ctx context.Context) error {
	a := AskingOf(ctx)
	if a.Since.IsZero() {
		a.Since = time.Now()
	}
	if err := Enter(ctx, l.turn); err != nil {
		return err
	}
	if err := l.circuit.admit(a.Routine, a.Since); err != nil {
		Leave(l.turn)
		return err
	}
	return nil
}

// Leave gives the turn to the next.
func (l *Line) Leave() { Leave(l.turn) }

// Silent tells whether the BMC has not answered for several requests in a row.
func (l *Line) Silent() bool { return l.circuit.silent() }

// Unanswered notes a request that got no answer, and why.
func (l *Line) Unanswered(cause error) {
	if l.circuit.failed(cause) {
		l.log.Warn().Err(cause).Int("requests", breakAfter).Msg("A BMC does not answer; until it does, only what is asked " +
			"for is tried, and the rest now and then")
	}
}

// Answered notes an answer, a good one or not.
func (l *Line) Answered() {
	if silence := l.circuit.answered(); silence > 0 {
		l.log.Info().Dur("silence", silence).Msg("A BMC answers again")
	}
}

// Enter waits for a place that one at a time may hold, in order.
func Enter(ctx context.Context, turn chan struct{}) error {
	select {
	case turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Leave gives such a place to the next.
func Leave(turn chan struct{}) { <-turn }

// linesKept is how long a line is remembered after the latest request to a BMC that does not answer.
const linesKept = time.Hour

// Lines are the ways to BMCs by their address. They are safe for concurrent use.
type Lines struct {
	log               zerolog.Logger
	shortest, longest time.Duration // of the pause in which a silent BMC is left alone

	mu sync.Mutex
	by map[string]*Line
	// swept is when the lines were last looked through.
	swept time.Time
}

// NewLines returns none yet. A silent BMC is left alone for a pause that grows with the silence, between shortest and longest.
func NewLines(shortest, longest time.Duration, log zerolog.Logger) *Lines {
	return &Lines{log: log, shortest: shortest, longest: longest, by: map[string]*Line{}, swept: time.Now()}
}

// To returns the line to an address for one more user, who drops it in the end.
func (ls *Lines) To(address string) *Line {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l := ls.by[address]
	if l == nil {
		if time.Since(ls.swept) > linesKept {
			ls.sweep()
		}
		l = &Line{log: ls.log.With().Str("bmc", address).Logger(), address: address, turn: make(chan struct{}, 1),
			circuit: circuit{shortest: ls.shortest, longest: ls.longest}}
		ls.by[address] = l
	}
	l.users++
	return l
}

// Drop takes a user off the line. A silent BMC is remembered without any.
func (ls *Lines) Drop(l *Line) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l.users--
	ls.forget(l)
}

func (ls *Lines) sweep() {
	ls.swept = time.Now()
	for _, l := range ls.by {
		ls.forget(l)
	}
}

func (ls *Lines) forget(l *Line) {
	if l.users == 0 && l.circuit.stale(linesKept) {
		delete(ls.by, l.address)
	}
}

// Silent is how many BMCs do not answer at the moment.
func (ls *Lines) Silent() int {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	silent := 0
	for _, l := range ls.by {
		if l.circuit.silent() {
			silent++
		}
	}
	return silent
}
