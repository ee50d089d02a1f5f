package room

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"golang.org/x/time/rate"
)

func TestSlowReaderLosesNothingAndEndsWithItsContext(t *testing.T) {
	content := bytes.Repeat([]byte("machine room "), 40_000)
	r := &slowReader{ctx: t.Context(), body: bytes.NewReader(content), limiter: rate.NewLimiter(rate.Inf, slowPiece)}
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d of %d bytes came, error %v", len(got), len(content), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r = &slowReader{ctx: ctx, body: bytes.NewReader(content), limiter: rate.NewLimiter(1, slowPiece)}
	if _, err := io.ReadAll(r); !errors.Is(err, context.Canceled) {
		t.Errorf("a download that was given up ended with %v", err)
	}
}
