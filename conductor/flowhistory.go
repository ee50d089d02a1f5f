package conductor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Newer releases keep the beginning and the end of each flow in the node's history, with its steps.

// flowName is what the history calls the flow that the node is in.
func (t *task) flowName(kind drivers.StepKind) string {
	switch {
	case kind == drivers.DeployStep:
		return "deployment"
	case kind == drivers.ServiceStep:
		return "servicing"
	case manualTarget(t.Node) != "":
		return "manual cleaning"
	}
	return "automated cleaning"
}

// flowBegan keeps that a flow begins with the steps that the row lists.
func (t *task) flowBegan(ctx context.Context, kind drivers.StepKind) {
	t.recordFlow(ctx, kind, "start", "INFO", func(name, steps string) string {
		return fmt.Sprintf("Starting %s with steps=%s", name, steps)
	})
}

// flowEnded keeps that no step is left. The row has forgotten the steps of a cleaning by then.
func (t *task) flowEnded(ctx context.Context, kind drivers.StepKind) {
	t.recordFlow(ctx, kind, "end", "INFO", func(name, steps string) string {
		return fmt.Sprintf("%s completed successfully with steps=%s", titled(name), steps)
	})
}

// flowBroke keeps at which step a flow failed; last_error is up to the handler of the failure.
func (t *task) flowBroke(ctx context.Context, kind drivers.StepKind, step string) {
	t.recordFlow(ctx, kind, "end", "ERROR", func(name, steps string) string {
		return fmt.Sprintf("%s aborted at step '%s' with steps=%s", titled(name), step, steps)
	})
}

func (t *task) recordFlow(ctx context.Context, kind drivers.StepKind, status, severity string, text func(name, steps string) string) {
	if !t.c.live().RecordStepFlows {
		return
	}
	name := t.flowName(kind)
	t.addHistory(ctx, strings.ReplaceAll(name, " ", "_")+"_"+status, severity, text(name, t.flowText(kind)))
}

func titled(name string) string {
	words := strings.Fields(name)
	for i, word := range words {
		words[i] = strings.ToUpper(word[:1]) + word[1:]
	}
	return strings.Join(words, " ")
}

// driverStepKeys is the order in which Python prints the keys of a step that a driver offers, userStepKeys that of one which
// a user asked for.
var (
	driverStepKeys = []string{"step", "priority", "abortable", "argsinfo", "interface", "requires_ramdisk"}
	userStepKeys   = []string{"interface", "step", "args", "abortable", "priority"}
)

// flowText prints the steps as Python does, without the secrets in their arguments.
func (t *task) flowText(kind drivers.StepKind) string {
	var texts []string
	for _, step := range t.flowSteps(kind) {
		if args := step.Dict("args"); args != nil {
			step = step.Clone()
			step["args"] = masked(args)
		}
		texts = append(texts, stepText(step))
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

func stepText(step store.Dict) string {
	order := userStepKeys
	if _, offered := step["argsinfo"]; offered {
		order = driverStepKeys
	}
	rest := slices.DeleteFunc(slices.Sorted(maps.Keys(step)), func(key string) bool { return slices.Contains(order, key) })
	var parts []string
	for _, key := range slices.Concat(order, rest) {
		if value, ok := step[key]; ok {
			parts = append(parts, store.PythonRepr(key)+": "+store.PythonRepr(value))
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
