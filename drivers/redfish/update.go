package redfish

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// updater has a BMC replace firmware, one file after another, while the flow waits. The files that are left stand in driver_internal_info
// under upstream's names, the one under way first, with the task by which the BMC tells of it.
type updater struct {
	base
	// key is that of the list in driver_internal_info, keys are further ones that end with the updates.
	key   string
	keys  []string
	files FirmwareFiles
	// stage returns the URL at which the BMC reads the file of an update, and whether the worker serves it.
	stage func(ctx context.Context, t *drivers.Task, update store.Dict) (url string, served bool, err error)
	// targets names the system to be updated at a BMC that has several.
	targets bool
	// named tells failures by the names of messages that are only said to be unknown.
	named bool
	now   func() time.Time
}

// Keys of driver_internal_info beside the list.
const (
	// keyServed tells what is to be cleaned up after the updates.
	keyServed = "firmware_cleanup"
	// keyAsked holds the BMC's tasks as they were before it was asked for the update under way.
	keyAsked = "ironmaster_firmware_tasks"
)

// Keys of an update in the list.
const (
	keyMonitor   = "task_monitor"
	keyWait      = "wait"
	keyWaitStart = "wait_start_time"
	// keyRebootDue tells that the machine is to reboot for the update, and nobody knows whether it did.
	keyRebootDue = "ironmaster_reboot"
)

// pythonTime is how Python prints a moment without a zone.
const pythonTime = "2006-01-02T15:04:05.000000"

func (u *updater) list(n *store.Node) []store.Dict {
	var all []store.Dict
	for _, item := range n.DriverInternalInfo.List(u.key) {
		all = append(all, store.Dict{"update": item}.Dict("update"))
	}
	return all
}

func (u *updater) keep(n *store.Node, list []store.Dict) {
	items := make([]any, len(list))
	for i, update := range list {
		items[i] = map[string]any(update)
	}
	n.DriverInternalInfo[u.key] = items
}

// UnderWay tells whether the BMC updates firmware of the node.
func (u *updater) UnderWay(n *store.Node) bool { return len(n.DriverInternalInfo.List(u.key)) > 0 }

// begin is the first half of a step: it asks for the first update, and reboots.
func (u *updater) begin(ctx context.Context, t *drivers.Task, list []store.Dict) (drivers.Outcome, error) {
	if err := u.ask(ctx, t, list); err != nil {
		return drivers.Done, u.withdraw(t, err)
	}
	drivers.AsyncStep{Skip: true, Polling: true}.Note(t.Node)
	return drivers.Waiting, u.settle(ctx, t, list)
}

// goOn goes on with a step whose worker died while it was at begin. Poll reboots the machine when that is due still: by now the BMC may be
// in the middle of the update, which a reboot would break off.
func (u *updater) goOn(ctx context.Context, t *drivers.Task) (drivers.Outcome, error) {
	list := u.list(t.Node)
	if err := u.findTask(ctx, t, list); err != nil {
		return drivers.Done, u.withdraw(t, err)
	}
	drivers.AsyncStep{Skip: true, Polling: true}.Note(t.Node)
	return drivers.Waiting, t.Worker.Save(ctx, t)
}

// withdraw forgets updates that the BMC refused, but not those that a worker is only cut off from.
func (u *updater) withdraw(t *drivers.Task, err error) error {
	if store.KindOf(err) != "" {
		u.forget(t)
	}
	return err
}

// giveUp makes what a BMC or an image source refuses the end of the flow. One that could not be asked is asked again.
func (u *updater) giveUp(t *drivers.Task, err error) error {
	if kind := store.KindOf(err); kind == "" || kind == store.RedfishConnectionError {
		return err
	}
	u.forget(t)
	return &drivers.StepFailure{Text: err.Error()}
}

// forget is clear where there is an error already.
func (u *updater) forget(t *drivers.Task) {
	if err := u.clear(t.Node); err != nil {
		t.Log.Warn().Err(err).Msg("Firmware files could not be withdrawn")
	}
}

// ask asks the BMC for the first update of a list, and notes its task. The caller saves.
//
// Crash window: the list and the BMC's tasks are saved before the BMC is asked. Who finds them without the task of the update looks for one
// that is new (findTask).
func (u *updater) ask(ctx context.Context, t *drivers.Task, list []store.Dict) error {
	info := t.Node.DriverInternalInfo
	var service *updateService
	err := u.on(ctx, t, "", func(s *system) (err error) {
		var tasks []string
		if service, err = s.updateService(); err == nil {
			tasks, err = s.knownTasks()
		}
		info[keyAsked] = asList(tasks)
		return err
	})
	if err != nil {
		return err
	}
	where, served, err := u.stage(ctx, t, list[0])
	if err != nil {
		return err
	}
	if served {
		info[keyServed] = []any{"http"}
	}
	u.keep(t.Node, list)
	if err := t.Worker.Save(ctx, t); err != nil {
		return err
	}
	// gofail: var firmwareBeforeUpdate struct{}
	err = u.on(ctx, t, "", func(s *system) error {
		targets, err := u.targetsOf(s, t.Node)
		if err != nil {
			return err
		}
		monitor, err := s.simpleUpdate(service, where, targets...)
		list[0][keyMonitor] = monitor
		return err
	})
	// gofail: var firmwareAsked struct{}
	if err != nil {
		return err
	}
	t.Log.Info().Str("monitor", list[0].String(keyMonitor)).Msg("A firmware update was asked for")
	u.asked(t.Node, list)
	return nil
}

// targetsOf are the systems that a request for an update has to name.
func (u *updater) targetsOf(s *system, n *store.Node) ([]string, error) {
	if !u.targets {
		return nil, nil
	}
	path, err := s.service("Systems")
	if err != nil {
		return nil, err
	}
	if systems, err := s.members(path); err != nil || len(systems) < 2 {
		return nil, err
	}
	return []string{n.DriverInfo.String("redfish_system_id")}, nil
}

// asked notes that the update under way has its task, and that the machine is to reboot for it.
func (u *updater) asked(n *store.Node, list []store.Dict) {
	delete(n.DriverInternalInfo, keyAsked)
	list[0][keyRebootDue] = true
	u.keep(n, list)
}

// findTask looks which task the BMC began for the update under way while nobody could note it, and asks for the update when there is none.
func (u *updater) findTask(ctx context.Context, t *drivers.Task, list []store.Dict) error {
	before, unknown := t.Node.DriverInternalInfo[keyAsked].([]any)
	if !unknown {
		return nil
	}
	found := ""
	err := u.on(ctx, t, "", func(s *system) (err error) {
		found, err = s.newTask(before)
		return err
	})
	switch {
	case err != nil:
		return err
	case found == "":
		return u.ask(ctx, t, list)
	}
	t.Log.Info().Str("monitor", found).Msg("The BMC is at the firmware update that it was asked for before")
	list[0][keyMonitor] = found
	u.asked(t.Node, list)
	return nil
}

// settle writes down what was asked, and reboots the machine when that is due and the BMC is not in the middle of the update.
//
// Crash window: after the reboot the mark is there until it is saved, and the machine may reboot twice.
func (u *updater) settle(ctx context.Context, t *drivers.Task, list []store.Dict) error {
	if err := t.Worker.Save(ctx, t); err != nil {
		return err
	}
	// gofail: var firmwareNoted struct{}
	if err := drivers.RebootToFinish(ctx, t); err != nil {
		return err
	}
	// gofail: var firmwareRebooted struct{}
	delete(list[0], keyRebootDue)
	u.keep(t.Node, list)
	return t.Worker.Save(ctx, t)
}

// Poll looks how the update under way stands, and asks for the next one when it has ended. A task that failed fails the step; one that the
// BMC has forgotten is taken to have ended well.
func (u *updater) Poll(ctx context.Context, t *drivers.Task) (bool, error) {
	list := u.list(t.Node)
	if _, unknown := t.Node.DriverInternalInfo[keyAsked]; unknown {
		return false, u.goOnLater(ctx, t, list)
	}
	if over, waiting := u.waited(list[0]); waiting {
		if !over {
			return false, nil
		}
		delete(list[0], keyWait)
		delete(list[0], keyWaitStart)
		return u.next(ctx, t, list)
	}
	state, gone, err := u.look(ctx, t, list[0])
	switch {
	case err != nil:
		return false, err
	case state.begun():
		return false, nil
	case list[0].Bool(keyRebootDue, false):
		return false, u.settle(ctx, t, list)
	case gone:
		t.Log.Warn().Str("monitor", list[0].String(keyMonitor)).
			Msg("The BMC does not know the firmware update any more; it is taken to have ended well")
	case state.active():
		return false, nil
	case !state.succeeded():
		return false, u.failed(t, state, list[0])
	}
	return u.next(ctx, t, list)
}

// goOnLater is goOn in the middle of a list.
func (u *updater) goOnLater(ctx context.Context, t *drivers.Task, list []store.Dict) error {
	if err := u.findTask(ctx, t, list); err != nil {
		return u.giveUp(t, err)
	}
	return t.Worker.Save(ctx, t)
}

func (u *updater) look(ctx context.Context, t *drivers.Task, update store.Dict) (state task, gone bool, err error) {
	err = u.on(ctx, t, "", func(s *system) (err error) {
		state, gone, err = s.look(update.String(keyMonitor))
		return err
	})
	return state, gone, err
}

// waited tells whether the pause after an update has begun, and whether it is over.
func (u *updater) waited(update store.Dict) (over, waiting bool) {
	since, err := time.Parse(pythonTime, update.String(keyWaitStart))
	if err != nil {
		return false, false
	}
	seconds, _, _ := update.Int(keyWait)
	return u.now().Sub(since) >= drivers.Seconds(seconds), true
}

// failed is how a step ends whose update did.
func (u *updater) failed(t *drivers.Task, state task, update store.Dict) error {
	u.forget(t)
	messages := state.messages()
	if u.named {
		messages = state.named()
	}
	return &drivers.StepFailure{Text: fmt.Sprintf("Firmware update failed for node %s, firmware %s. Error: %s", t.Node.UUID,
		withoutPassword(update.String("url")), strings.Join(messages, ",  "))}
}

// next goes on after an update that has ended: with its pause, with the next one, or with the flow.
func (u *updater) next(ctx context.Context, t *drivers.Task, list []store.Dict) (bool, error) {
	if seconds, _, _ := list[0].Int(keyWait); seconds > 0 {
		list[0][keyWaitStart] = u.now().UTC().Format(pythonTime)
		u.keep(t.Node, list)
		return false, t.Worker.Save(ctx, t)
	}
	if len(list) == 1 {
		return true, u.clear(t.Node)
	}
	list = list[1:]
	if err := u.ask(ctx, t, list); err != nil {
		return false, u.giveUp(t, err)
	}
	return false, u.settle(ctx, t, list)
}

// Discard forgets the updates that were to come.
func (u *updater) Discard(_ context.Context, t *drivers.Task) error {
	t.Log.Warn().Msg("A firmware update failed; those that were to follow are discarded")
	return u.clear(t.Node)
}

// clear takes the list out of the node, and withdraws what is served for it. The caller saves.
func (u *updater) clear(n *store.Node) error {
	for _, key := range append([]string{u.key, keyServed, keyAsked}, u.keys...) {
		delete(n.DriverInternalInfo, key)
	}
	return u.files.Withdraw(n.UUID)
}

func asList(texts []string) []any {
	items := make([]any, len(texts))
	for i, text := range texts {
		items[i] = text
	}
	return items
}
