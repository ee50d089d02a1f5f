package conductor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store/local"
)

// roomPoll is how often a write that found the disk full is tried again.
const roomPoll = time.Second

// untilRoom writes to the worker's file, and waits while its disk is full: what runs goes on where it was when there is room
// again, and nothing of it is lost. New requests and locks do not wait, they are refused. It ends with ctx or with the
// worker; then the write was not made.
func (c *Conductor) untilRoom(ctx context.Context, what string, write func() error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.workCtx, cancel)()
	for waited := false; ; waited = true {
		err := write()
		if !errors.Is(err, local.ErrFull) {
			if err == nil && waited {
				c.log.Info().Str("waiting_for", what).Msg("The disk of the state file has room again")
			}
			return err
		}
		if !waited {
			c.log.Error().Err(err).Str("waiting_for", what).Msg("The disk of the state file is full; work waits until it has room")
		}
		if ended := drivers.Pause(ctx, roomPoll); ended != nil {
			return fmt.Errorf("%w, while the disk was full: %w", ended, err)
		}
	}
}

// fileHealth tells how the worker's file is doing: "ok" or what is wrong, and whether requests can be accepted.
func (c *Conductor) fileHealth() (text string, ok bool) {
	if err := c.local.Writable(); err != nil {
		return err.Error(), false
	}
	if aside := c.local.Aside(); aside != "" {
		return "begun anew, because the earlier one was damaged; that is kept as " + aside, true
	}
	return "ok", true
}
