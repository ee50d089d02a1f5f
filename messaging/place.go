package messaging

import "context"

type placeKey struct{}

// WithPlace tells a handler how it gives its place back: a server runs only so many handlers at once. giveBack may be called
// more than once.
func WithPlace(ctx context.Context, giveBack func()) context.Context {
	return context.WithValue(ctx, placeKey{}, giveBack)
}

// StandAside gives the place of a handler back to its server before the handler has ended, when from now on it waits for
// something that may take long and that others need not wait for. What bounds such handlers is then their own concern.
func StandAside(ctx context.Context) {
	if giveBack, ok := ctx.Value(placeKey{}).(func()); ok {
		giveBack()
	}
}
