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
	// Run carries the step out. It is nil for a step that the agent runs. After a restart in its middle it runs again, so
	// it reads what was done already before it acts.
	Run func(ctx context.Context, t *Task, args store.Dict) (Outcome, error)
}

// StepArg describes one argument of a step.
type StepArg struct {
	Description string
	Required    bool
}
