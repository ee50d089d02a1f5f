package redfish

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// stagedUpdates are updates of components each of which has its own rules for reboots: a BIOS is written while the machine starts, a BMC
// restarts by itself and has another version afterwards, and of network cards some begin only when the machine starts, others are at it at
// once and need the start afterwards.
type stagedUpdates struct {
	*updater
	firmware *Firmware
}

// Keys of an update in the list, under upstream's names.
const (
	keyPowerTimeout = "power_timeout"
	keyKind         = "component_type"
	keyCheckStart   = "bmc_check_start_time"
	keyChecking     = "bmc_version_checking"
	keyBMCUpdated   = "bmc_update_completed"
	keyBIOSReboot   = "bios_reboot_triggered"
	keyNICReboot    = "nic_reboot_triggered"
	keyNICStarting  = "nic_starting_timestamp"
	keyNICAfter     = "nic_needs_post_completion_reboot"
)

// Keys of driver_internal_info, under upstream's names.
const (
	keyUpdateStart   = "redfish_fw_update_start_time"
	keyBMCBefore     = "bmc_fw_version_before_update"
	keyRebootAtEnd   = "firmware_reboot_requested"
	keyOverBeforeEnd = "ironmaster_firmware_written"
)

// componentKeys are those of driver_internal_info that end with the updates.
var componentKeys = []string{keyUpdateStart, keyBMCBefore, keyRebootAtEnd, keyOverBeforeEnd}

// kindOf is what a component is: bios, bmc or nic.
func kindOf(update store.Dict) string {
	kind, _, _ := strings.Cut(update.String("component"), ":")
	return kind
}

// seconds is a span as the list holds it.
func seconds(d time.Duration) json.Number { return json.Number(strconv.Itoa(int(d.Seconds()))) }

func (u *stagedUpdates) stamp() string { return u.now().UTC().Format(pythonTime) }

// since is how long ago a moment was that an update holds; it is zero where there is none.
func (u *stagedUpdates) since(update store.Dict, key string) time.Duration {
	then, err := time.Parse(pythonTime, update.String(key))
	if err != nil {
		return 0
	}
	return u.now().Sub(then)
}

// begin asks for the first update. Whether and when the machine reboots Poll finds out.
func (u *stagedUpdates) begin(ctx context.Context, t *drivers.Task, list []store.Dict) (drivers.Outcome, error) {
	t.Node.DriverInternalInfo[keyUpdateStart] = u.stamp()
	if err := u.submit(ctx, t, list); err != nil {
		return drivers.Done, u.withdraw(t, err)
	}
	return drivers.Waiting, t.Worker.Save(ctx, t)
}

func (u *stagedUpdates) goOn(ctx context.Context, t *drivers.Task) (drivers.Outcome, error) {
	list := u.list(t.Node)
	if err := u.findTask(ctx, t, list); err != nil {
		return drivers.Done, u.withdraw(t, err)
	}
	u.watch(t, list)
	return drivers.Waiting, t.Worker.Save(ctx, t)
}

// submit asks for the first update of a list. The caller saves.
func (u *stagedUpdates) submit(ctx context.Context, t *drivers.Task, list []store.Dict) error {
	list[0][keyPowerTimeout] = seconds(u.firmware.cfg.Delay)
	if kindOf(list[0]) == partBMC {
		// It is read before the BMC is asked, for afterwards it may be another one.
		delete(t.Node.DriverInternalInfo, keyBMCBefore)
		if version, err := u.bmcVersion(ctx, t); err == nil {
			t.Node.DriverInternalInfo[keyBMCBefore] = version
		}
	}
	if err := u.ask(ctx, t, list); err != nil {
		return err
	}
	u.watch(t, list)
	return nil
}

// watch notes how an update that was asked for is looked at.
func (u *stagedUpdates) watch(t *drivers.Task, list []store.Dict) {
	info, update := t.Node.DriverInternalInfo, list[0]
	delete(update, keyRebootDue)
	delete(info, keyRebootAtEnd)
	if kindOf(update) == partBMC && update[keyKind] == nil {
		if _, given := update[keyWait]; !given {
			update[keyWait] = seconds(u.firmware.cfg.Delay)
		}
		update[keyWaitStart], update[keyCheckStart], update[keyKind] = u.stamp(), u.stamp(), partBMC
	}
	u.keep(t.Node, list)
	drivers.NotePolling(t.Node, kindOf(update) == partBIOS)
}

func (u *stagedUpdates) bmcVersion(ctx context.Context, t *drivers.Task) (version string, err error) {
	err = u.on(ctx, t, "", func(s *system) error {
		managers, err := s.managers()
		if err == nil && len(managers) > 0 {
			version = managers[0].FirmwareVersion
		}
		return err
	})
	return version, err
}

// save keeps the list, and tells by the node's time that somebody is at it: no agent calls meanwhile.
func (u *stagedUpdates) save(ctx context.Context, t *drivers.Task, list []store.Dict) error {
	u.keep(t.Node, list)
	t.Node.ProvisionUpdatedAt = u.now().UTC()
	return t.Worker.Save(ctx, t)
}

// reboot reboots the machine once key tells in the row that it is to.
//
// Crash window: while the mark keyRebootDue stands, nobody knows whether the machine was rebooted; Poll reboots it then, unless its BMC is
// at work.
func (u *stagedUpdates) reboot(ctx context.Context, t *drivers.Task, list []store.Dict, key string) error {
	list[0][key], list[0][keyRebootDue] = true, true
	u.keep(t.Node, list)
	t.Node.ProvisionUpdatedAt = u.now().UTC()
	return u.settle(ctx, t, list)
}

// Poll looks how the update under way stands, and does what its component needs next.
func (u *stagedUpdates) Poll(ctx context.Context, t *drivers.Task) (bool, error) {
	if err := u.overdue(t); err != nil {
		return false, err
	}
	list := u.list(t.Node)
	update := list[0]
	if _, unknown := t.Node.DriverInternalInfo[keyAsked]; unknown {
		if err := u.findTask(ctx, t, list); err != nil {
			return false, u.giveUp(t, err)
		}
		u.watch(t, list)
		return false, u.save(ctx, t, list)
	}
	if t.Node.DriverInternalInfo.Bool(keyOverBeforeEnd, false) {
		return u.end(ctx, t, list)
	}
	if update.Bool(keyBMCUpdated, false) && !update.Bool(keyRebootDue, false) {
		delete(update, keyBMCUpdated)
		return u.next(ctx, t, list)
	}
	if over, waiting := u.waited(update); waiting {
		if !over {
			return false, u.save(ctx, t, list)
		}
		delete(update, keyWait)
		delete(update, keyWaitStart)
		return u.afterWait(ctx, t, list)
	}
	return u.look(ctx, t, list)
}

// overdue ends a step that has taken too long.
func (u *stagedUpdates) overdue(t *drivers.Task) error {
	limit, took := u.firmware.cfg.Overall, u.since(t.Node.DriverInternalInfo, keyUpdateStart)
	if limit <= 0 || took < limit {
		return nil
	}
	u.forget(t)
	return &drivers.StepFailure{Text: fmt.Sprintf("Firmware update on node %s has exceeded the overall timeout of %d seconds. Elapsed time: "+
		"%d seconds.", t.Node.UUID, int(limit.Seconds()), int(took.Seconds()))}
}

// look reads the task of the update under way.
func (u *stagedUpdates) look(ctx context.Context, t *drivers.Task, list []store.Dict) (bool, error) {
	update := list[0]
	state, gone, err := u.updater.look(ctx, t, update)
	switch {
	case err != nil:
		return false, err
	case update.Bool(keyRebootDue, false) && !state.begun():
		return false, u.settle(ctx, t, list)
	case gone:
		t.Log.Warn().Str("monitor", update.String(keyMonitor)).
			Msg("The BMC does not know the firmware update any more; it is taken to have ended well")
		if kindOf(update) == partBIOS && !update.Bool(keyBIOSReboot, false) {
			return false, u.reboot(ctx, t, list, keyBIOSReboot)
		}
		return u.next(ctx, t, list)
	case !state.active() && !state.succeeded():
		return false, u.failed(t, state, update)
	case !state.active():
		return u.ended(ctx, t, list)
	}
	return false, u.underWay(ctx, t, list, state)
}

// underWay has the machine reboot when an update needs that to go on.
func (u *stagedUpdates) underWay(ctx context.Context, t *drivers.Task, list []store.Dict, state task) error {
	update, starting := list[0], state.State == "Starting"
	switch kindOf(update) {
	case partBIOS:
		if !update.Bool(keyBIOSReboot, false) && (starting || state.State == "Running" || state.State == "Pending") {
			return u.reboot(ctx, t, list, keyBIOSReboot)
		}
	case partNIC:
		switch {
		case state.State == "Running":
			delete(update, keyNICStarting)
			delete(update, keyNICReboot)
			update[keyNICAfter] = true
		case !starting || update.Bool(keyNICReboot, false):
		case update.String(keyNICStarting) == "":
			update[keyNICStarting] = u.stamp()
		case u.since(update, keyNICStarting) >= u.firmware.cfg.NICWait:
			delete(update, keyNICStarting)
			return u.reboot(ctx, t, list, keyNICReboot)
		}
	}
	return u.save(ctx, t, list)
}

// ended goes on after an update whose task has ended well.
func (u *stagedUpdates) ended(ctx context.Context, t *drivers.Task, list []store.Dict) (bool, error) {
	update := list[0]
	switch kindOf(update) {
	case partBMC:
		return u.compareBMC(ctx, t, list)
	case partBIOS:
		// Some BMCs only keep the file, and write it at the next start.
		if !update.Bool(keyBIOSReboot, false) {
			return false, u.reboot(ctx, t, list, keyBIOSReboot)
		}
		delete(update, keyBIOSReboot)
	case partNIC:
		if !update.Bool(keyNICReboot, false) {
			t.Node.DriverInternalInfo[keyRebootAtEnd] = true
		}
		for _, key := range []string{keyNICAfter, keyNICStarting, keyNICReboot} {
			delete(update, key)
		}
	}
	return u.next(ctx, t, list)
}

// afterWait goes on when a pause is over: the one after an update, or the one before the version of a BMC is looked at.
func (u *stagedUpdates) afterWait(ctx context.Context, t *drivers.Task, list []store.Dict) (bool, error) {
	update := list[0]
	switch {
	case update.Bool(keyChecking, false):
		delete(update, keyChecking)
		return u.compareBMC(ctx, t, list)
	case update.String(keyKind) == partBMC:
		if state, gone, err := u.updater.look(ctx, t, update); err == nil && !gone && state.active() {
			return false, u.save(ctx, t, list)
		}
		return u.compareBMC(ctx, t, list)
	}
	return u.next(ctx, t, list)
}

// compareBMC looks whether the BMC has another version than before, which it may have for a while not yet.
func (u *stagedUpdates) compareBMC(ctx context.Context, t *drivers.Task, list []store.Dict) (bool, error) {
	info, update := t.Node.DriverInternalInfo, list[0]
	before := info.String(keyBMCBefore)
	now, err := u.bmcVersion(ctx, t)
	if ctx.Err() != nil {
		return false, err
	}
	known := err == nil && now != "" && before != ""
	limit := u.firmware.cfg.Delay
	if told, given, _ := update.Int(keyWait); given {
		limit = drivers.Seconds(told)
	}
	switch {
	case known && now != before:
		if len(list) > 1 {
			// Some machines take firmware for network cards only after a start with the new BMC.
			delete(info, keyBMCBefore)
			clearWait(update)
			return false, u.reboot(ctx, t, list, keyBMCUpdated)
		}
	case u.since(update, keyCheckStart) < limit:
		update[keyWait], update[keyWaitStart], update[keyChecking] = seconds(u.firmware.cfg.VersionCheck), u.stamp(), true
		return false, u.save(ctx, t, list)
	case !known:
		t.Log.Warn().Msg("The version of the BMC can't be compared; the machine is rebooted to complete its update")
		info[keyRebootAtEnd] = true
		drivers.NotePolling(t.Node, true)
	}
	delete(info, keyBMCBefore)
	clearWait(update)
	return u.next(ctx, t, list)
}

// clearWait takes the pauses of a BMC's update away, which is over.
func clearWait(update store.Dict) {
	delete(update, keyWait)
	delete(update, keyWaitStart)
}

// next goes on after an update that is over.
func (u *stagedUpdates) next(ctx context.Context, t *drivers.Task, list []store.Dict) (bool, error) {
	if pause, _, _ := list[0].Int(keyWait); pause > 0 {
		list[0][keyWaitStart] = u.stamp()
		return false, u.save(ctx, t, list)
	}
	if len(list) == 1 {
		t.Node.DriverInternalInfo[keyOverBeforeEnd] = true
		if t.Node.DriverInternalInfo.Bool(keyRebootAtEnd, false) {
			list[0][keyRebootDue] = true
		}
		return u.end(ctx, t, list)
	}
	if err := u.steady(ctx, t); err != nil {
		return false, err
	}
	list = list[1:]
	if err := u.submit(ctx, t, list); err != nil {
		return false, u.giveUp(t, err)
	}
	if kindOf(list[0]) != partBIOS {
		return false, u.save(ctx, t, list)
	}
	list[0][keyRebootDue] = true
	u.keep(t.Node, list)
	return false, u.settle(ctx, t, list)
}

// end reboots the machine where the updates need that at their end, and waits until its BMC is well. It may begin anew at any time.
func (u *stagedUpdates) end(ctx context.Context, t *drivers.Task, list []store.Dict) (bool, error) {
	if list[0].Bool(keyRebootDue, false) {
		u.keep(t.Node, list)
		if err := u.settle(ctx, t, list); err != nil {
			return false, err
		}
	}
	if err := u.steady(ctx, t); err != nil {
		return false, err
	}
	if err := u.firmware.CacheComponents(ctx, t); err != nil {
		t.Log.Warn().Err(err).Msg("Which firmware the machine has now can't be told")
	}
	return true, u.clear(t.Node)
}

// steady waits until the BMC shows its resources several times in a row: one that restarts shows some of them early.
func (u *stagedUpdates) steady(ctx context.Context, t *drivers.Task) error {
	cfg := u.firmware.cfg
	if cfg.Successes == 0 || cfg.ValidationTimeout == 0 {
		return nil
	}
	var last error
	good := 0
	for end := u.now().Add(cfg.ValidationTimeout); u.now().Before(end); {
		if last = u.on(ctx, t, "", (*system).showsAll); last == nil {
			good++
		} else {
			good = 0
		}
		if good >= cfg.Successes {
			return nil
		}
		if err := drivers.Pause(ctx, cfg.ValidationInterval); err != nil {
			return err
		}
	}
	text := fmt.Sprintf("BMC resources failed to stabilize within %d seconds for node %s", int(cfg.ValidationTimeout.Seconds()), t.Node.UUID)
	if last != nil {
		text += ", last error: " + last.Error()
	}
	u.forget(t)
	return &drivers.StepFailure{Text: "Redfish exception occurred. Error: " + text}
}

// showsAll reads what the updates and their steps need of a BMC.
func (s *system) showsAll() error {
	if _, err := s.managers(); err != nil {
		return err
	}
	if _, err := s.networkAdapters(); err != nil && !isMissing(err) {
		return err
	}
	return nil
}
