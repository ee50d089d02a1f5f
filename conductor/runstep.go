package conductor

import (
	"context"
	"fmt"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// runStep carries out one step as the row names it: through the interface that offers it, else through the agent. again tells
// that it may have begun before.
func (t *task) runStep(ctx context.Context, kind drivers.StepKind, step store.Dict, again bool) (drivers.Outcome, error) {
	if t.Hardware.Get(drivers.InterfaceType(step.String("interface"))) == nil {
		return drivers.Done, fmt.Errorf("the node has no %s interface", step.String("interface"))
	}
	args := step.Dict("args")
	if s := t.offeredStep(kind, step); s != nil && s.Run != nil {
		if again && s.Resume != nil {
			return s.Resume(ctx, t.Task, args)
		}
		return s.Run(ctx, t.Task, args)
	}
	if agent, ok := t.Hardware.Deploy.(drivers.Agent); ok {
		if again {
			return agent.ResumeStep(ctx, t.Task, kind, step)
		}
		return agent.ExecuteStep(ctx, t.Task, kind, step)
	}
	return drivers.Done, fmt.Errorf("no interface of the node carries out the %s step %s", kind, stepID(step))
}

// offeredStep is the step that the node's interfaces carry out themselves under the names in step, nil when there is none.
func (t *task) offeredStep(kind drivers.StepKind, step store.Dict) *drivers.Step {
	typ := drivers.InterfaceType(step.String("interface"))
	iface := t.Hardware.Get(typ)
	if iface == nil {
		return nil
	}
	kinds := []drivers.StepKind{kind}
	if kind == drivers.ServiceStep && typ != drivers.TypeDeploy {
		// Ironic calls what has the name of the step, whichever kind of step it is. So a servicing whose list nobody could check,
		// because no ramdisk boots, runs steps of other flows.
		kinds = append(kinds, drivers.CleanStep, drivers.DeployStep)
	}
	for _, k := range kinds {
		for _, s := range iface.Steps(k) {
			if s.Name == step.String("step") && (k == kind || !s.InBand) {
				return &s
			}
		}
	}
	return nil
}

// beginStep writes which step runs next, before it runs: after a crash the row tells where the flow was. A worker that stops
// begins none any more.
func (t *task) beginStep(ctx context.Context, kind drivers.StepKind, index int, step store.Dict, again bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if before, began := t.cursor(kind); !began || before != index {
		t.note(store.Dict{markTries: nil})
	}
	// gofail: var stepBeforeBegin struct{}
	*stepColumn(t.Node, kind) = step.Clone()
	t.Node.DriverInternalInfo[string(kind)+"_step_index"] = index
	if !again {
		t.note(store.Dict{markStep: t.c.runName()})
	}
	if err := t.save(ctx); err != nil {
		return err
	}
	t.Log.Info().Str("step", stepID(step)).Int("index", index).Msgf("Executing a %s step", kind)
	t.turn(momentStep, fmt.Sprintf("%s step %d of %d: %s", kind, index+1, len(t.flowSteps(kind)), stepID(step)))
	// gofail: var stepBegun struct{}
	t.reportStep(ctx, kind, index, step)
	return nil
}

// flowSteps is the list of a kind as the row holds it; it may change while the flow runs.
func (t *task) flowSteps(kind drivers.StepKind) []store.Dict {
	return dictList(t.Node.DriverInternalInfo.List(string(kind) + "_steps"))
}

// nextIndex works out where a flow goes on and forgets the flags that decided it, which the caller saves with its next move, the
// beginning of a step above all: a worker that dies before finds them. again tells that the step there may have
// begun before; ok is false when no step is left.
func (t *task) nextIndex(kind drivers.StepKind) (index int, again, ok bool) {
	info := t.Node.DriverInternalInfo
	terms := termsOf[kind]
	skip := info.Bool(terms.skip, true)
	delete(info, terms.skip)
	delete(info, terms.polling)
	if len(*stepColumn(t.Node, kind)) == 0 {
		return 0, false, true
	}
	current, known, err := info.Int(string(kind) + "_step_index")
	if err != nil || !known {
		return 0, false, false
	}
	if skip {
		current++
	}
	return int(current), !skip && t.stepBegunBy() != "", int(current) < len(t.flowSteps(kind))
}
