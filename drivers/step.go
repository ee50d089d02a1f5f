package drivers

import (
	"context"

	"github.com/ironmaster/ironmaster/store"
)

// StepKind is the flow that a step belongs to.
type StepKind string

// The kinds of steps. The value is the word in ironic's column names and agent commands (deploy_step, clean.get_clean_steps).
const (
	DeployStep StepKind = "deploy"
	CleanStep  StepKind = "clean"
	VerifyStep StepKind = "verify"
	// ServiceStep is that of a node with an instance; ironic knows it since 23.0.
	ServiceStep StepKind = "service"
)

// Outcome is how a step or a preparation ended.
type Outcome int

// The outcomes.
const (
	// Done: go on with the next step.
	Done Outcome = iota
	// Waiting: an agent or a BMC goes on alone; a heartbeat or a periodic task continues the flow.
	Waiting
	// Again: the step did nothing yet and has to be run again on the next heartbeat.
	Again
)

// Step is one named action of a flow.
type Step struct {
	Interface       InterfaceType
	Name            string
	Priority        int
	Abortable       bool
	RequiresRamdisk bool
	// Args describes the arguments; nil when the step takes none.
	Args map[string]StepArg
	// Listed is the step as an agent listed it, configured priority applied: it may hold keys that this struct does not
	// name (reboot_requested), and it is what the columns of the node and the agent itself are to be shown. Nil for every
	// step that no agent listed.
	Listed store.Dict
	// Run carries the step out. It is nil for a step that the agent runs.
	Run func(ctx context.Context, t *Task, args store.Dict) (Outcome, error)
	// Resume goes on with a step that was begun before: by an earlier run of this worker, by another worker, or by this one
	// when nobody could tell whether it took effect. It reads what was done, and acts only where that is missing. Nil
	// stands for Run, of a step that does no harm when it runs again.
	Resume func(ctx context.Context, t *Task, args store.Dict) (Outcome, error)
	// ReadsFromWorker tells that an agent which runs the step reads from the worker meanwhile, so that the step may fail
	// for no other reason than that the worker went away. It is then begun once more.
	ReadsFromWorker bool
	// InBand tells that the step is the agent's: it is offered once an agent has listed it, and Run sends it there.
	InBand bool
	// ByAgent tells that the step runs in the agent, as of one that is InBand, and is offered whether an agent has listed it or not.
	ByAgent bool
	// Finish takes note of what an agent that has carried the step out returned, before the flow goes on. Nil has nothing to note.
	Finish *Finish
}

// StepArg describes one argument of a step.
type StepArg struct {
	Description string
	Required    bool
}

// Finish is what is done with the result of a step in an agent. It may run twice.
type Finish struct {
	// Name is that of ironic's hook, for the error of a flow that it fails.
	Name string
	Run  func(ctx context.Context, t *Task, result store.Dict) error
}
