package redfish

import (
	"context"
	"time"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// The keys of driver_internal_info, under upstream's names, that tell which half of a step is due: up to 2024.2 one for each step, in 2025.1
// one for both, and in 39.0 an object.
const (
	markApplied  = "post_config_reboot_requested"
	markReset    = "post_factory_reset_reboot_requested"
	markEither   = "post_bios_reboot_requested"
	keyRequested = "requested_bios_attrs"

	keyBIOSState  = "redfish_bios_state"
	keyReboot     = "reboot_requested"
	keyWantedBIOS = keyRequested
)

// begun tells that the first half of the step with a mark is done, by whichever release.
func (b *BIOS) begun(n *store.Node, mark string) bool {
	info := n.DriverInternalInfo
	return info.Bool(mark, false) || info.Bool(markEither, false) || info.Dict(keyBIOSState).Bool(keyReboot, false)
}

// note writes down that the first half of a step is done.
func (b *BIOS) note(n *store.Node, mark string, wanted map[string]any) {
	info := n.DriverInternalInfo
	switch {
	case b.cfg.WithoutRamdisk:
		state := map[string]any{keyReboot: true}
		if len(wanted) > 0 {
			state[keyWantedBIOS] = wanted
		}
		info[keyBIOSState] = state
		return
	case b.cfg.OneMark:
		mark = markEither
	}
	if info[mark] = true; wanted != nil {
		info[keyRequested] = wanted
	}
}

// wantedOf are the settings that a step has asked for.
func wantedOf(n *store.Node) store.Dict {
	if wanted := n.DriverInternalInfo.Dict(keyBIOSState).Dict(keyWantedBIOS); wanted != nil {
		return wanted
	}
	return n.DriverInternalInfo.Dict(keyRequested)
}

func forgetBegun(n *store.Node) {
	for _, key := range []string{markApplied, markReset, markEither, keyRequested, keyBIOSState} {
		delete(n.DriverInternalInfo, key)
	}
}

// UnderWay tells that a step waits, without an agent, for settings to take effect.
func (b *BIOS) UnderWay(n *store.Node) bool {
	return b.cfg.WithoutRamdisk && drivers.WithoutRamdisk(n) && n.DriverInternalInfo.Dict(keyBIOSState).Bool(keyReboot, false)
}

// Poll looks whether the machine is back from its restart, and its settings are those that were asked for. While it tells how far its start
// is, the flow may wait on.
func (b *BIOS) Poll(ctx context.Context, t *drivers.Task) (bool, error) {
	var at schemas.BootProgressTypes
	if err := b.on(ctx, t, "", func(s *system) error {
		at = s.BootProgress.LastState
		return nil
	}); err != nil {
		return false, err
	}
	if at != "" {
		t.Node.ProvisionUpdatedAt = time.Now().UTC()
		if at != schemas.OSBootStartedBootProgressTypes && at != schemas.OSRunningBootProgressTypes {
			return false, t.Worker.Save(ctx, t)
		}
	}
	missed, err := b.missed(ctx, t)
	switch {
	case err != nil:
		return false, err
	case len(missed) > 0 && at != "":
		return false, t.Worker.Save(ctx, t)
	case len(missed) > 0:
		return false, nil
	}
	// The machine need not reboot for a step whose worker dies from here on.
	drivers.NotePolling(t.Node, false)
	return true, nil
}

// Discard forgets a step whose flow has failed.
func (*BIOS) Discard(_ context.Context, t *drivers.Task) error {
	forgetBegun(t.Node)
	return nil
}

var _ drivers.Polled = (*BIOS)(nil)
