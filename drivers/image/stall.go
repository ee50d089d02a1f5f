package image

import (
	"context"
	"errors"
	"io"
	"time"
)

var errStalled = errors.New("no byte arrived for too long")

// stallReader ends a transfer whose peer keeps the connection open and sends nothing. The time between bytes is bounded,
// not the whole transfer, which for a large image may last hours.
type stallReader struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	timer   *time.Timer
	timeout time.Duration
	body    io.ReadCloser
}

// withStall calls open with a context that ends when no byte of its body has been read for timeout. A timeout of 0 sets
// no bound.
func withStall(ctx context.Context, timeout time.Duration, open func(context.Context) (io.ReadCloser, error)) (io.ReadCloser, error) {
	if timeout <= 0 {
		return open(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(timeout, func() { cancel(errStalled) })
	body, err := open(ctx)
	timer.Stop()
	if err != nil {
		if errors.Is(context.Cause(ctx), errStalled) {
			err = errStalled
		}
		cancel(nil)
		return nil, err
	}
	return &stallReader{ctx: ctx, cancel: cancel, timer: timer, timeout: timeout, body: body}, nil
}

func (s *stallReader) Read(p []byte) (int, error) {
	s.timer.Reset(s.timeout)
	n, err := s.body.Read(p)
	s.timer.Stop()
	if err != nil && err != io.EOF && errors.Is(context.Cause(s.ctx), errStalled) {
		err = errStalled
	}
	return n, err
}

func (s *stallReader) Close() error {
	s.timer.Stop()
	err := s.body.Close()
	s.cancel(nil)
	return err
}
