package agent

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

func raidRig(t *testing.T, commands *[]any) (*rig, *RAID, *agentServer) {
	t.Helper()
	a := newAgent(t, func(r *http.Request, _ store.Dict) (int, any) {
		if r.Method == http.MethodPost {
			return 200, cmd("execute_clean_step", statusRunning)
		}
		return 200, store.Dict{"commands": *commands}
	})
	g := newRig(t, quick(), a.node(t))
	raid := NewRAID()
	raid.now = func() time.Time { return time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC) }
	g.task.Hardware.RAID = raid
	return g, raid, a
}

func raidStep(t *testing.T, r *RAID, kind drivers.StepKind, name string) drivers.Step {
	t.Helper()
	for _, s := range r.Steps(kind) {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no %s step %s", kind, name)
	return drivers.Step{}
}

var rootAndOther = []any{
	map[string]any{"size_gb": json.Number("100"), "raid_level": "1", "is_root_volume": true}, map[string]any{"size_gb": "MAX", "raid_level": "5"},
}

func TestAgentsRAIDStepsAreOfferedByItsInterface(t *testing.T) {
	g, _, _ := raidRig(t, &[]any{})
	five := 5
	g.deploy.cfg.CreateRAIDPriority = &five
	g.task.Node.DriverInternalInfo["agent_cached_clean_steps"] = map[string]any{"raid": []any{
		map[string]any{"interface": "raid", "step": "create_configuration", "priority": 0},
		map[string]any{"interface": "raid", "step": "delete_configuration", "priority": 0},
	}}
	steps, ok := g.deploy.CachedSteps(g.task, drivers.CleanStep, drivers.TypeRAID)
	if !ok || len(steps) != 2 || steps[0].Priority != 5 || steps[1].Priority != 0 {
		t.Errorf("steps %+v, %v", steps, ok)
	}
}

func TestCreateConfigurationIsSentToTheAgent(t *testing.T) {
	g, r, a := raidRig(t, &[]any{})
	n := g.task.Node
	n.CleanStep = store.Dict{"interface": "raid", "step": "create_configuration"}
	step := raidStep(t, r, drivers.CleanStep, "create_configuration")
	if _, err := step.Run(t.Context(), g.task, nil); store.KindOf(err) != store.MissingParameterValue || len(a.posts) != 0 {
		t.Fatalf("without a target: %v", err)
	}
	n.TargetRAIDConfig = store.Dict{"logical_disks": rootAndOther}
	outcome, err := step.Run(t.Context(), g.task, store.Dict{"create_nonroot_volumes": false})
	if err != nil || outcome != drivers.Waiting || len(a.posts) != 1 {
		t.Fatalf("%v, %v, %d commands", outcome, err, len(a.posts))
	}
	params := a.posts[0].Dict("params")
	if a.posts[0].String("name") != "clean.execute_clean_step" || params.Dict("step").String("step") != "create_configuration" ||
		len(params.Dict("node").Dict("target_raid_config").List("logical_disks")) != 2 {
		t.Errorf("told %v", a.posts[0])
	}
	if sent := params.Dict("node").Dict("driver_internal_info").Dict("target_raid_config").List("logical_disks"); len(sent) != 1 {
		t.Errorf("the part to make: %v", sent)
	}
}

func TestApplyConfigurationIsChecked(t *testing.T) {
	g, r, a := raidRig(t, &[]any{})
	g.task.Node.DeployStep = store.Dict{"interface": "raid", "step": "apply_configuration"}
	step := raidStep(t, r, drivers.DeployStep, "apply_configuration")
	if _, err := step.Run(t.Context(), g.task, store.Dict{"raid_config": map[string]any{}}); store.KindOf(err) != store.InvalidParameterValue {
		t.Errorf("a configuration without disks: %v", err)
	}
	if outcome, err := step.Run(t.Context(), g.task, store.Dict{"raid_config": map[string]any{"logical_disks": rootAndOther}}); err != nil ||
		outcome != drivers.Waiting || len(a.posts) != 1 {
		t.Errorf("%v, %v, %d commands", outcome, err, len(a.posts))
	}
}

func TestWhatTheAgentMadeIsRecorded(t *testing.T) {
	g, r, _ := raidRig(t, &[]any{})
	n := g.task.Node
	finish := raidStep(t, r, drivers.CleanStep, "create_configuration").Finish
	for name, result := range map[string]store.Dict{"nothing": nil, "empty": {"clean_result": map[string]any{}}} {
		err := finish.Run(t.Context(), g.task, result)
		if store.KindOf(err) != store.IronicException || !strings.Contains(err.Error(), "didn't return a proper command result") {
			t.Errorf("%s: %v", name, err)
		}
	}
	made := map[string]any{"logical_disks": rootAndOther}
	if err := finish.Run(t.Context(), g.task, store.Dict{"clean_result": made}); err != nil || g.worker.saves != 1 {
		t.Fatalf("%v, %d saves", err, g.worker.saves)
	}
	want := store.Dict{"logical_disks": rootAndOther, "last_updated": "2026-11-26 00:00:00.000000"}
	if !reflect.DeepEqual(n.RAIDConfig, want) || n.Properties.String("local_gb") != "100" {
		t.Errorf("raid_config %v, properties %v", n.RAIDConfig, n.Properties)
	}
	n.Properties["root_device"] = map[string]any{"wwn": "1"}
	if err := raidStep(t, r, drivers.CleanStep, "delete_configuration").Finish.Run(t.Context(), g.task, nil); err != nil {
		t.Fatal(err)
	}
	if len(n.RAIDConfig) != 0 || n.Properties["root_device"] != nil || g.worker.saves != 2 {
		t.Errorf("raid_config %v, properties %v after they were deleted", n.RAIDConfig, n.Properties)
	}
}

// A worker that died may have sent the step, and may not have recorded what came of it.
func TestResumedRAIDStepIsReadBack(t *testing.T) {
	ended := cmd("execute_clean_step", statusSucceeded)
	ended["command_result"] = map[string]any{"clean_step": map[string]any{"interface": "raid", "step": "create_configuration"},
		"clean_result": map[string]any{"logical_disks": rootAndOther}}
	for name, c := range map[string]struct {
		commands []any
		want     drivers.Outcome
		posts    int
		recorded bool
	}{
		"never sent": {nil, drivers.Waiting, 1, false},
		"running":    {[]any{cmd("execute_clean_step", statusRunning)}, drivers.Waiting, 0, false},
		"ended":      {[]any{ended}, drivers.Done, 0, true},
	} {
		g, r, a := raidRig(t, &c.commands)
		g.task.Node.CleanStep = store.Dict{"interface": "raid", "step": "create_configuration"}
		g.task.Node.TargetRAIDConfig = store.Dict{"logical_disks": rootAndOther}
		outcome, err := raidStep(t, r, drivers.CleanStep, "create_configuration").Resume(t.Context(), g.task, nil)
		if err != nil || outcome != c.want || len(a.posts) != c.posts || (len(g.task.Node.RAIDConfig) > 0) != c.recorded {
			t.Errorf("%s: %v, %v, %d commands, raid_config %v", name, outcome, err, len(a.posts), g.task.Node.RAIDConfig)
		}
	}
}
