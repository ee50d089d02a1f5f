package tftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/time/rate"

	"github.com/ironmaster/ironmaster/drivers"
)

// reportEvery is the shortest time between two reports of one transfer.
const reportEvery = 500 * time.Millisecond

// largestBlock is that of RFC 2348.
const largestBlock = 65464

// transfer is one file on its way to a machine: a reader that the library takes block by block, each when the one before was
// acknowledged.
type transfer struct {
	ctx      context.Context // ends with the server, or when the transfer takes too long
	file     io.Reader
	limit    *rate.Limiter
	report   func(drivers.Transfer)
	state    drivers.Transfer
	reported time.Time
}

func newTransfer(ctx context.Context, f *File, peer string, bytesPerSecond int64, report func(drivers.Transfer)) *transfer {
	limit := rate.NewLimiter(rate.Inf, 0)
	if bytesPerSecond > 0 {
		limit = rate.NewLimiter(rate.Limit(bytesPerSecond), largestBlock)
		// The first second is no faster than the others.
		limit.AllowN(time.Now(), largestBlock)
	}
	return &transfer{ctx: ctx, file: f, limit: limit, report: report, reported: time.Now(),
		state: drivers.Transfer{Node: f.Node, File: f.Name, By: "TFTP", Peer: peer, Total: f.Size}}
}

// Read gives the next bytes of the file when the limit allows.
func (t *transfer) Read(b []byte) (int, error) {
	if err := context.Cause(t.ctx); err != nil {
		return 0, err
	}
	n, err := t.file.Read(b[:min(len(b), largestBlock)])
	if n == 0 {
		return n, err
	}
	if wait := t.limit.WaitN(t.ctx, n); wait != nil {
		return 0, errors.Join(context.Cause(t.ctx), fmt.Errorf("waiting for the rate limit: %w", wait))
	}
	t.state.Bytes += int64(n)
	if time.Since(t.reported) >= reportEvery {
		t.reported = time.Now()
		t.report(t.state)
	}
	return n, err
}
