package agent

import (
	"context"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// fastTrackEnabled reports whether an agent that runs already may be used for a node.
func (c Config) fastTrackEnabled(n *store.Node) (bool, error) {
	value := n.DriverInfo["fast_track"]
	if value == nil {
		return c.FastTrack, nil
	}
	text := n.DriverInfo.String("fast_track")
	on, known := parseBool(text)
	if !known {
		return false, store.Errorf(store.InvalidParameterValue, "Invalid value of fast_track: Unrecognized value '%s', "+
			"acceptable values are: '0', '1', 'f', 'false', 'n', 'no', 'off', 'on', 't', 'true', 'y', 'yes'", text)
	}
	return on, nil
}

// alive reports whether the agent's last heartbeat is recent.
func (c Config) alive(n *store.Node, now time.Time) bool {
	if n.DriverInternalInfo.String("agent_url") == "" {
		return false
	}
	last, err := time.Parse("2006-01-02T15:04:05.999999", n.DriverInternalInfo.String("agent_last_heartbeat"))
	return err == nil && now.UTC().Sub(last) <= c.FastTrackTimeout
}

// fastTrack reports whether an agent runs on the node now and may be used.
func (d *Deploy) fastTrack(ctx context.Context, t *drivers.Task) (bool, error) {
	on, err := d.cfg.fastTrackEnabled(t.Node)
	if err != nil || !on || t.Node.LastError != "" {
		return false, err
	}
	if writes, err := t.Hardware.Storage.ShouldWriteImage(ctx, t); err != nil || !writes {
		return false, err
	}
	state, err := t.Hardware.Power.PowerState(ctx, t)
	return err == nil && state == store.PowerOn && d.cfg.alive(t.Node, time.Now()), err
}

// Running reports whether an agent runs on the node that the next flow will use again, so that its ramdisk must stay.
func (d *Deploy) Running(ctx context.Context, t *drivers.Task) bool {
	on, err := d.fastTrack(ctx, t)
	return err == nil && on
}
