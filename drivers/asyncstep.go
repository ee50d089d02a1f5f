package drivers

import (
	"context"

	"github.com/ironmaster/ironmaster/store"
)

// stepFlags are the keys of driver_internal_info that tell conductors how to go on with a step that waits.
type stepFlags struct{ reboot, skip, polling string }

func flagsOf(n *store.Node) stepFlags {
	switch {
	case len(n.CleanStep) > 0:
		return stepFlags{"cleaning_reboot", "skip_current_clean_step", "cleaning_polling"}
	case len(n.ServiceStep) > 0:
		return stepFlags{"servicing_reboot", "skip_current_service_step", "servicing_polling"}
	}
	return stepFlags{"deployment_reboot", "skip_current_deploy_step", "deployment_polling"}
}

// AsyncStep says how a step that waits goes on.
type AsyncStep struct {
	// Skip tells that the step is over when the wait is; without it it runs once more.
	Skip bool
	// Polling tells that its interface looks when it is over (Polled), and heartbeats move nothing.
	Polling bool
}

// Note writes into the node how the running step goes on after a reboot. The caller saves.
func (a AsyncStep) Note(n *store.Node) {
	flags := flagsOf(n)
	n.DriverInternalInfo[flags.reboot], n.DriverInternalInfo[flags.skip] = true, a.Skip
	if a.Polling {
		n.DriverInternalInfo[flags.polling] = true
	}
}

// NotePolling writes into the node that the interface of the running step looks when it is over (Polled), and whether the machine reboots
// for it at once. The flow goes on with the next step then. The caller saves.
func NotePolling(n *store.Node, reboots bool) {
	flags := flagsOf(n)
	n.DriverInternalInfo[flags.reboot], n.DriverInternalInfo[flags.polling] = reboots, true
}

// RebootDue tells that the running step was to reboot the machine and that no agent was heard of since.
func RebootDue(n *store.Node) bool { return n.DriverInternalInfo.Bool(flagsOf(n).reboot, false) }

// WithoutRamdisk tells that the node is being cleaned or serviced without an agent.
func WithoutRamdisk(n *store.Node) bool {
	return n.DriverInternalInfo.Bool("cleaning_disable_ramdisk", false) ||
		n.DriverInternalInfo.Bool("service_disable_ramdisk", false)
}

// RebootToFinish reboots the machine so that what a step has prepared at its BMC takes effect: into the agent, which goes on with the
// flow, where the flow has one.
func RebootToFinish(ctx context.Context, t *Task) error {
	if agent, ok := t.Hardware.Deploy.(Agent); ok && !WithoutRamdisk(t.Node) {
		return agent.RebootAgent(ctx, t)
	}
	return t.Worker.SetPower(ctx, t, store.Reboot)
}

// PrepareToFinish has a machine that its BMC is about to restart boot the agent, where the flow has one. It may run twice.
func PrepareToFinish(ctx context.Context, t *Task) error {
	if booter, ok := t.Hardware.Deploy.(AgentBooter); ok && !WithoutRamdisk(t.Node) {
		return booter.PrepareAgentBoot(ctx, t)
	}
	return nil
}

// AgentBooter is a deploy interface whose agent can be made ready to boot without a restart.
type AgentBooter interface {
	PrepareAgentBoot(ctx context.Context, t *Task) error
}

// Polled is an interface with steps that a BMC carries out while the flow waits. The conductor asks it again and again.
type Polled interface {
	// UnderWay tells from a node's row whether a step of this interface is.
	UnderWay(n *store.Node) bool
	// Poll looks how the step stands. It saves what it notes while the step goes on; what it changes when the step is done the
	// conductor writes together with the flow's next move. A *StepFailure ends the flow, another error is tried again later.
	Poll(ctx context.Context, t *Task) (done bool, err error)
	// Discard forgets a step whose flow has failed. The caller saves.
	Discard(ctx context.Context, t *Task) error
}

// StepFailure ends a flow with a text of its own, which users see as it is.
type StepFailure struct{ Text string }

func (e *StepFailure) Error() string { return e.Text }
