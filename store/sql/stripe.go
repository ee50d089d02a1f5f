package sql

import "context"

// stripes keep two goroutines of this process from reserving or releasing the same node at the same time. Without that, a
// goroutine whose UPDATE lost its answer could not tell its own reservation from one that another goroutine placed with
// the same tag. Nodes share a stripe by their id.
type stripes [64]chan struct{}

func newStripes() stripes {
	var s stripes
	for i := range s {
		s[i] = make(chan struct{}, 1)
	}
	return s
}

// hold waits for a node's stripe; the caller lets go by calling the result.
func (s *stripes) hold(ctx context.Context, id int64) (letGo func(), err error) {
	stripe := s[uint64(id)%uint64(len(s))]
	select {
	case stripe <- struct{}{}:
		return func() { <-stripe }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
