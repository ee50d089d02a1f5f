package conductor

import (
	"context"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

func TestStepsRunByPriorityThenByInterface(t *testing.T) {
	for _, c := range []struct {
		kind    drivers.StepKind
		release messaging.Release
		want    string
	}{
		{drivers.DeployStep, messaging.V2023_1, "raid management deploy bios power"},
		{drivers.CleanStep, messaging.V2023_1, "raid management deploy bios power"},
		{drivers.CleanStep, messaging.V22_1, "raid vendor management deploy bios power"},
		{drivers.CleanStep, messaging.V2023_2, "raid vendor management firmware deploy bios power"},
		{drivers.CleanStep, messaging.V2025_1, "raid vendor management firmware deploy bios power"},
		{drivers.VerifyStep, messaging.V2023_1, "raid management deploy bios vendor power"},
		{drivers.VerifyStep, messaging.V22_1, "raid management deploy bios vendor power"},
		{drivers.VerifyStep, messaging.V2025_1, "raid management firmware deploy bios vendor power"},
	} {
		task := &task{c: &Conductor{cfg: Config{Release: c.release}}}
		var steps []store.Dict
		rank := interfaceRank(c.kind, c.release)
		for _, s := range []struct {
			iface    string
			priority int
		}{{"bios", 10}, {"power", 5}, {"deploy", 10}, {"vendor", 10}, {"firmware", 10}, {"raid", 90}, {"management", 10}} {
			if _, asked := rank[drivers.InterfaceType(s.iface)]; asked {
				steps = append(steps, store.Dict{"interface": s.iface, "priority": s.priority})
			}
		}
		task.sortSteps(c.kind, steps)
		var order []string
		for _, s := range steps {
			order = append(order, s.String("interface"))
		}
		equal(t, string(c.kind)+" in "+c.release.String(), strings.Join(order, " "), c.want)
	}
}

func TestReservedStepsAreAccepted(t *testing.T) {
	for _, c := range []struct {
		step  store.Dict
		since messaging.Release
	}{
		{store.Dict{"interface": "power", "step": "reboot"}, messaging.V22_1}, {store.Dict{"interface": "deploy", "step": "hold"}, messaging.V2025_1},
		{store.Dict{"interface": "deploy", "step": "erase", "execute_on_child_nodes": true}, messaging.V22_1},
	} {
		for _, release := range []messaging.Release{messaging.V2023_1, messaging.V22_1, messaging.V2024_2, messaging.V2025_1} {
			_, err := checkUserSteps([]store.Dict{c.step.Clone()}, nil, stepRules{kind: drivers.CleanStep, release: release})
			equal(t, c.step.String("step")+" on "+release.String()+" is accepted", err == nil, release >= c.since)
		}
	}
}

func TestPrioritiesOfTheConfiguration(t *testing.T) {
	steps := []store.Dict{{"interface": "deploy", "step": "erase", "priority": 10}, {"interface": "raid", "step": "build", "priority": 0},
		{"interface": "bios", "step": "reset", "priority": 5}}
	overridePriorities(steps, map[string]int{"deploy.erase": 99, "raid.build": 1, "bios.reset": 0})
	var left []string
	for _, s := range enabledSteps(steps) {
		left = append(left, stepID(s)+" "+s.String("priority"))
	}
	// Zero is no override, as in ironic.
	equal(t, "steps", strings.Join(left, ", "), "deploy.erase 99, raid.build 1, bios.reset 5")
}

func TestVerifyAndCleanPrioritiesCanBeChanged(t *testing.T) {
	w := startWorker(t, func(c *Config) {
		c.CleanStepPriorityOverride = map[string]int{"deploy.second": 20}
		c.VerifyStepPriorityOverride = map[string]int{"deploy.look": 7}
	})
	var ran []string
	noting := func(name string, priority int) drivers.Step {
		s := step(name, priority, drivers.Done, nil)
		run := s.Run
		s.Run = func(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
			ran = append(ran, name)
			return run(ctx, t, args)
		}
		return s
	}
	w.script.use(behaviour{steps: map[drivers.StepKind][]drivers.Step{
		drivers.VerifyStep: {noting("look", 0)}, drivers.CleanStep: {noting("first", 10), noting("second", 0)}}})
	n := w.enroll(t, nil)
	w.must(t, "do_provisioning_action", map[string]any{"node_id": n.UUID, "action": "manage"})
	w.settled(t, n.UUID, store.Manageable)
	w.must(t, "do_provisioning_action", map[string]any{"node_id": n.UUID, "action": "provide"})
	w.settled(t, n.UUID, store.Available)
	equal(t, "ran", strings.Join(ran, " "), "look second first")
}
