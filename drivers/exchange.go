package drivers

import (
	"context"
	"time"
)

// Exchange is one request to a machine and what came of it, for the node's timeline. It holds neither bodies nor
// credentials.
type Exchange struct {
	// With is whom was asked: WithBMC, WithAgent, or WithImages for what was fetched for the machine.
	With Peer
	// Asked is a method and a path, or the name of a command; Answer is a status.
	Asked, Answer string
	Took          time.Duration
	// Err is why there is no answer, or why it is no good one.
	Err error
}

// Peer is a part of a machine that answers requests.
type Peer string

// The peers of a conductor on a machine, and what it fetches images from.
const (
	WithBMC   Peer = "bmc"
	WithAgent Peer = "agent"

	WithImages Peer = "image"
)

// What is told of an image: FetchBegun at once, FetchEnded with the size or why there is none.
const (
	FetchBegun = "fetch begun"
	FetchEnded = "fetch ended"
)

type listenerKey struct{}

// Overheard returns a context whose exchanges are told to listener, as httptrace does it: connections are shared between
// nodes, and only the context of a request knows for which node it is made.
func Overheard(ctx context.Context, listener func(Exchange)) context.Context {
	return context.WithValue(ctx, listenerKey{}, listener)
}

// Overhear tells of an exchange whoever listens to ctx.
func Overhear(ctx context.Context, e Exchange) {
	if listener, ok := ctx.Value(listenerKey{}).(func(Exchange)); ok {
		listener(e)
	}
}
