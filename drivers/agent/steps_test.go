package agent

import (
	"net/http"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

func TestStepStatus(t *testing.T) {
	current := store.Dict{"interface": "deploy", "step": "erase_devices"}
	ended := func(status string, result, failure any) command {
		return command{Name: "execute_clean_step", Status: status, Result: result, Error: failure}
	}
	own := map[string]any{"clean_step": map[string]any{"interface": "deploy", "step": "erase_devices", "priority": 10}}
	other := map[string]any{"clean_step": map[string]any{"interface": "deploy", "step": "other"}}
	for name, c := range map[string]struct {
		commands []command
		want     drivers.StepState
		text     string
	}{
		"rebooted":            {nil, drivers.StepNotStarted, ""},
		"first boot":          {[]command{{Name: "get_clean_steps", Status: statusSucceeded}}, drivers.StepNotStarted, ""},
		"listed again":        {[]command{{Name: "get_clean_steps"}, {Name: "get_clean_steps"}}, drivers.StepNotStarted, ""},
		"steps of other kind": {[]command{{Name: "get_deploy_steps", Status: statusSucceeded}}, drivers.StepUnknown, ""},
		"something else":      {[]command{ended(statusSucceeded, own, nil), {Name: "sync"}}, drivers.StepUnknown, ""},
		"running":             {[]command{ended(statusRunning, nil, nil)}, drivers.StepRunning, ""},
		"succeeded":           {[]command{ended(statusSucceeded, own, nil)}, drivers.StepSucceeded, ""},
		"step before":         {[]command{ended(statusSucceeded, other, nil)}, drivers.StepUnknown, ""},
		"no step told":        {[]command{ended(statusSucceeded, nil, nil)}, drivers.StepUnknown, ""},
		"failed with details": {[]command{ended(statusFailed, nil, map[string]any{"details": "disk on fire", "message": "m"})}, drivers.StepFailed, "disk on fire"},
		"failed with message": {[]command{ended(statusFailed, nil, map[string]any{"message": "m"})}, drivers.StepFailed, "m"},
		"failed with text":    {[]command{ended(statusFailed, nil, "text")}, drivers.StepFailed, "text"},
		"failed silently":     {[]command{ended(statusFailed, nil, nil)}, drivers.StepFailed, "Invalid agent response"},
		"mismatch":            {[]command{ended("VERSION_MISMATCH", nil, nil)}, drivers.StepVersionMismatch, ""},
		"old mismatch":        {[]command{ended("CLEAN_VERSION_MISMATCH", nil, nil)}, drivers.StepVersionMismatch, ""},
	} {
		got, err := stepStatus(&store.Node{UUID: "u"}, drivers.CleanStep, c.commands, current)
		if err != nil || got.State != c.want || got.Error != c.text {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	_, err := stepStatus(&store.Node{UUID: "u"}, drivers.CleanStep, []command{ended("PUZZLED", nil, nil)}, current)
	if store.KindOf(err) != store.NodeCleaningFailure || !strings.Contains(err.Error(), "PUZZLED") {
		t.Errorf("unknown status: %v", err)
	}
}

func getSteps(result any) func(*http.Request, store.Dict) (int, any) {
	return func(*http.Request, store.Dict) (int, any) {
		c := cmd("get_clean_steps", "SUCCEEDED")
		c["command_result"] = result
		return 200, c
	}
}

func TestRefreshedStepsAreCachedByInterface(t *testing.T) {
	a := newAgent(t, getSteps(store.Dict{"hardware_manager_version": store.Dict{"generic": "1.1"}, "clean_steps": store.Dict{
		"B": []any{store.Dict{"interface": "deploy", "step": "erase_devices", "priority": 10, "abortable": true, "reboot_requested": false}},
		"A": []any{
			store.Dict{"interface": "deploy", "step": "erase_devices_metadata", "priority": 99},
			store.Dict{"interface": "raid", "step": "create_configuration", "priority": 0},
			store.Dict{"interface": "deploy", "step": "burnin", "priority": 0,
				"argsinfo": store.Dict{"hours": store.Dict{"description": "how long", "required": true}}},
		},
	}}))
	cfg := quick()
	zero, fifty := 0, 50
	cfg.Erase.DevicesPriority, cfg.Erase.MetadataPriority = &zero, &fifty
	g := newRig(t, cfg, a.node(t))
	if _, ok := g.deploy.CachedSteps(g.task, drivers.CleanStep, drivers.TypeDeploy); ok {
		t.Error("steps before the agent was asked")
	}
	if err := g.deploy.RefreshSteps(t.Context(), g.task, drivers.CleanStep); err != nil {
		t.Fatal(err)
	}
	if g.worker.saves != 1 || g.task.Node.DriverInternalInfo.String("agent_cached_clean_steps_refreshed") == "" {
		t.Errorf("%d saves, info %v", g.worker.saves, g.task.Node.DriverInternalInfo)
	}
	steps, ok := g.deploy.CachedSteps(g.task, drivers.CleanStep, drivers.TypeDeploy)
	if !ok || len(steps) != 3 {
		t.Fatalf("steps %+v", steps)
	}
	priorities := map[string]int{}
	for _, s := range steps {
		priorities[s.Name] = s.Priority
		if n, _, _ := s.Listed.Int("priority"); int(n) != s.Priority || !s.Listed.Bool("requires_ramdisk", false) {
			t.Errorf("listed %v", s.Listed)
		}
	}
	if priorities["erase_devices"] != 0 || priorities["erase_devices_metadata"] != 50 {
		t.Errorf("priorities %v", priorities)
	}
	if !steps[2].Abortable && !steps[0].Abortable {
		t.Error("no step is abortable")
	}
	if raid, ok := g.deploy.CachedSteps(g.task, drivers.CleanStep, drivers.TypeRAID); !ok || len(raid) != 0 {
		t.Errorf("raid steps without the agent's raid interface: %v", raid)
	}
	if arg := steps[1].Args["hours"]; !arg.Required || arg.Description != "how long" {
		t.Errorf("arguments %+v", steps[1].Args)
	}
}

func TestBadStepListsAreRefused(t *testing.T) {
	for name, result := range map[string]any{
		"nothing":    nil,
		"no version": store.Dict{"clean_steps": store.Dict{}},
		"no steps":   store.Dict{"hardware_manager_version": store.Dict{}},
		"nameless":   store.Dict{"hardware_manager_version": store.Dict{}, "clean_steps": store.Dict{"A": []any{store.Dict{"interface": "deploy"}}}},
		"not a step": store.Dict{"hardware_manager_version": store.Dict{}, "clean_steps": store.Dict{"A": []any{7}}},
	} {
		a := newAgent(t, getSteps(result))
		g := newRig(t, quick(), a.node(t))
		err := g.deploy.RefreshSteps(t.Context(), g.task, drivers.CleanStep)
		if store.KindOf(err) != store.NodeCleaningFailure || g.worker.saves != 0 {
			t.Errorf("%s: %v, %d saves", name, err, g.worker.saves)
		}
	}
}

func TestBusyAgentKeepsTheCache(t *testing.T) {
	a := newAgent(t, func(*http.Request, store.Dict) (int, any) { return 409, store.Dict{"faultstring": "busy"} })
	g := newRig(t, quick(), a.node(t))
	if err := g.deploy.RefreshSteps(t.Context(), g.task, drivers.DeployStep); err != nil || g.worker.saves != 0 {
		t.Errorf("%v, %d saves", err, g.worker.saves)
	}
	_, err := g.deploy.ExecuteStep(t.Context(), g.task, drivers.DeployStep, store.Dict{})
	if store.KindOf(err) != store.AgentInProgress {
		t.Errorf("a step sent to a busy agent: %v", err)
	}
}

func TestAnswerWithoutStatusFailsTheStep(t *testing.T) {
	a := newAgent(t, func(*http.Request, store.Dict) (int, any) { return 200, store.Dict{} })
	g := newRig(t, quick(), a.node(t))
	for kind, want := range map[drivers.StepKind]store.Kind{drivers.CleanStep: store.NodeCleaningFailure, drivers.DeployStep: store.InstanceDeployFailure} {
		if _, err := g.deploy.ExecuteStep(t.Context(), g.task, kind, store.Dict{}); store.KindOf(err) != want {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestSecretsAreMasked(t *testing.T) {
	n := &store.Node{UUID: "u",
		DriverInfo:         store.Dict{"redfish_password": "p", "redfish_username": "admin", "nested": map[string]any{"auth_token": "t"}},
		DriverInternalInfo: store.Dict{"agent_secret_token": "t", "agent_secret_token_pregenerated": true},
		InstanceInfo:       store.Dict{"configdrive": "drive", "image_source": "x"}}
	doc := nodeDocument(n, false)
	if doc.Dict("driver_info").String("redfish_password") != mask || doc.Dict("driver_info").String("redfish_username") != "admin" ||
		doc.Dict("driver_info").Dict("nested").String("auth_token") != mask {
		t.Errorf("driver_info %v", doc["driver_info"])
	}
	if doc.Dict("driver_internal_info").String("agent_secret_token_pregenerated") != mask {
		t.Errorf("driver_internal_info %v", doc["driver_internal_info"])
	}
	if doc.Dict("instance_info").String("configdrive") != mask {
		t.Errorf("config drive %v", doc["instance_info"])
	}
	if nodeDocument(n, true).Dict("instance_info").String("configdrive") != "drive" {
		t.Error("the config drive is hidden from the step that writes it")
	}
	if n.DriverInfo.String("redfish_password") != "p" {
		t.Error("masking reached the node itself")
	}
}

func TestAgentsFailureTellsNoSecretURL(t *testing.T) {
	failed := cmd("execute_deploy_step", "FAILED")
	failed["command_error"] = store.Dict{"details": "cannot read http://worker/images/0123abcd/disk"}
	a := newAgent(t, func(*http.Request, store.Dict) (int, any) { return 200, commandList(failed) })
	g := newRig(t, quick(), a.node(t))
	if err := g.worker.Put(t.Context(), journalImageToken, "0123abcd"); err != nil {
		t.Fatal(err)
	}
	status, err := g.deploy.StepStatus(t.Context(), g.task, drivers.DeployStep)
	if err != nil || status.State != drivers.StepFailed || status.Error != "cannot read http://worker/images/******/disk" {
		t.Errorf("%+v, %v", status, err)
	}
}
