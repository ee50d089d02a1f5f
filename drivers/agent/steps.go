package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

const keyHardwareVersion = "hardware_manager_version"

func cacheKey(kind drivers.StepKind) string { return "agent_cached_" + string(kind) + "_steps" }

// stepError is the failure of talking to an agent about steps of a kind.
func stepError(kind drivers.StepKind, format string, args ...any) error {
	switch kind {
	case drivers.CleanStep:
		return store.Errorf(store.NodeCleaningFailure, format, args...)
	case drivers.ServiceStep:
		return store.Errorf(store.NodeServicingFailure, format, args...)
	}
	return store.Errorf(store.InstanceDeployFailure, format, args...)
}

// RefreshSteps asks the agent for its steps and keeps them in driver_internal_info, by interface.
func (d *Deploy) RefreshSteps(ctx context.Context, t *drivers.Task, kind drivers.StepKind) error {
	ports, err := portDocuments(ctx, t)
	if err != nil {
		return err
	}
	answer, err := d.client.do(ctx, t.Node, request{
		method: fmt.Sprintf("%s.get_%s_steps", kind, kind),
		params: store.Dict{"node": nodeDocument(t.Node, false), "ports": ports},
		wait:   true,
	})
	if store.KindOf(err) == store.AgentInProgress {
		t.Log.Debug().Msg("the agent is busy; its steps are read at the next heartbeat")
		return nil
	}
	if err != nil {
		return err
	}
	listed, err := listedSteps(t.Node, kind, answer.result())
	if err != nil {
		return err
	}
	info := internalInfo(t.Node)
	info[keyHardwareVersion] = answer.result()[keyHardwareVersion]
	info[cacheKey(kind)] = listed
	info[cacheKey(kind)+"_refreshed"] = isoTime(time.Now())
	return t.Worker.Save(ctx, t)
}

// listedSteps checks an agent's answer and sorts its steps by interface.
func listedSteps(n *store.Node, kind drivers.StepKind, result store.Dict) (store.Dict, error) {
	name := string(kind) + "_steps"
	var missing []string
	for _, key := range []string{name, keyHardwareVersion} {
		if _, ok := result[key]; !ok {
			missing = append(missing, key)
		}
	}
	if len(missing) > 0 {
		return nil, stepError(kind, "agent get_%s for node %s returned an invalid result. Keys: %s are missing from result.",
			name, n.UUID, strings.Join(missing, ", "))
	}
	byInterface := store.Dict{}
	managers := result.Dict(name)
	for _, manager := range sortedKeys(managers) {
		for _, item := range managers.List(manager) {
			step := store.Dict{"s": item}.Dict("s").Clone()
			if err := checkListed(n, kind, step); err != nil {
				return nil, err
			}
			if kind == drivers.CleanStep {
				step["requires_ramdisk"] = true
			}
			iface := step.String("interface")
			byInterface[iface] = append(byInterface.List(iface), map[string]any(step))
		}
	}
	return byInterface, nil
}

func checkListed(n *store.Node, kind drivers.StepKind, step store.Dict) error {
	var missing []string
	for _, key := range []string{"interface", "step", "priority"} {
		if step[key] == nil {
			missing = append(missing, key)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return stepError(kind, "agent get_%s_steps for node %s returned an invalid %s step. Keys: %s are missing from step: %s.",
		kind, n.UUID, kind, strings.Join(missing, ", "), step.String("step"))
}

// CachedSteps returns the agent's own steps of the deploy interface, and of the raid interface agent. Those of other interfaces
// belong to the interface that is named agent there.
func (d *Deploy) CachedSteps(t *drivers.Task, kind drivers.StepKind, iface drivers.InterfaceType) ([]drivers.Step, bool) {
	cached := t.Node.DriverInternalInfo.Dict(cacheKey(kind))
	if cached == nil {
		return nil, false
	}
	if _, agents := t.Hardware.RAID.(*RAID); iface != drivers.TypeDeploy && !(agents && iface == drivers.TypeRAID) {
		return nil, true
	}
	var steps []drivers.Step
	for _, item := range cached.List(string(iface)) {
		steps = append(steps, d.cachedStep(kind, store.Dict{"s": item}.Dict("s").Clone()))
	}
	return steps, true
}

func (d *Deploy) cachedStep(kind drivers.StepKind, listed store.Dict) drivers.Step {
	name := listed.String("step")
	if kind == drivers.CleanStep {
		override := map[string]*int{"erase_devices": d.cfg.Erase.DevicesPriority,
			"erase_devices_metadata": d.cfg.Erase.MetadataPriority, "create_configuration": d.cfg.CreateRAIDPriority,
			"delete_configuration": d.cfg.DeleteRAIDPriority}[name]
		if override != nil {
			listed["priority"] = *override
		}
	}
	// A priority that is no number disables the step: it then runs only when somebody asks for it by name.
	priority, _, err := listed.Int("priority")
	if err != nil {
		priority = 0
	}
	step := drivers.Step{
		Interface: drivers.InterfaceType(listed.String("interface")), Name: name, Priority: int(priority),
		Abortable: listed.Bool("abortable", false), RequiresRamdisk: true, Listed: listed,
	}
	for arg, description := range listed.Dict("argsinfo") {
		info := store.Dict{"i": description}.Dict("i")
		if step.Args == nil {
			step.Args = map[string]drivers.StepArg{}
		}
		step.Args[arg] = drivers.StepArg{Description: info.String("description"), Required: info.Bool("required", false)}
	}
	return step
}

// ExecuteStep sends a step to the agent.
func (d *Deploy) ExecuteStep(ctx context.Context, t *drivers.Task, kind drivers.StepKind, step store.Dict) (drivers.Outcome, error) {
	ports, err := portDocuments(ctx, t)
	if err != nil {
		return drivers.Done, err
	}
	// gofail: var agentStepBeforeSend struct{}
	answer, err := d.client.do(ctx, t.Node, request{
		method: fmt.Sprintf("%s.execute_%s_step", kind, kind),
		params: store.Dict{
			"step":                    step,
			"node":                    nodeDocument(t.Node, kind == drivers.DeployStep),
			"ports":                   ports,
			string(kind) + "_version": t.Node.DriverInternalInfo[keyHardwareVersion],
		},
		step: step,
	})
	// gofail: var agentStepSent struct{}
	if err != nil {
		return drivers.Done, err
	}
	if answer.Status == "" {
		return drivers.Done, stepError(kind, "Agent on node %s returned bad command result: no command_status in it", t.Node.UUID)
	}
	return drivers.Waiting, nil
}

// ResumeStep sends a step unless the agent's command list says that it was sent already.
func (d *Deploy) ResumeStep(ctx context.Context, t *drivers.Task, kind drivers.StepKind, step store.Dict) (drivers.Outcome, error) {
	return d.resumed(ctx, t, kind, func() (drivers.Outcome, error) { return d.ExecuteStep(ctx, t, kind, step) })
}

// resumed looks what became of the step in the node's step column, and sends it when nothing did. How a step ended that did
// not succeed is found by whoever continues the flow.
func (d *Deploy) resumed(ctx context.Context, t *drivers.Task, kind drivers.StepKind, send func() (drivers.Outcome, error)) (drivers.Outcome, error) {
	status, err := d.StepStatus(ctx, t, kind)
	switch {
	case store.KindOf(err) == store.AgentConnectionFailed && ctx.Err() == nil:
		t.Log.Warn().Err(err).Msg("The agent can't be asked what became of the step; its next heartbeat tells")
		return drivers.Again, nil
	case err != nil:
		return drivers.Done, err
	}
	switch status.State {
	case drivers.StepNotStarted, drivers.StepUnknown:
		return send()
	case drivers.StepSucceeded:
		return drivers.Done, nil
	}
	return drivers.Waiting, nil
}

// StepStatus reads the agent's command list.
func (d *Deploy) StepStatus(ctx context.Context, t *drivers.Task, kind drivers.StepKind) (drivers.StepStatus, error) {
	commands, err := d.client.listRetrying(ctx, t.Node)
	if err != nil {
		return drivers.StepStatus{}, err
	}
	status, err := stepStatus(t.Node, kind, commands, currentStep(t.Node, kind))
	status.Error = d.withoutSecrets(ctx, t, status.Error)
	return status, err
}

// currentStep is the step of a kind that the node's row names.
func currentStep(n *store.Node, kind drivers.StepKind) store.Dict {
	switch kind {
	case drivers.CleanStep:
		return n.CleanStep
	case drivers.ServiceStep:
		return n.ServiceStep
	}
	return n.DeployStep
}

// withoutSecrets takes the passwords and the secret parts of the URLs that an agent was given out of what it says about them.
func (d *Deploy) withoutSecrets(ctx context.Context, t *drivers.Task, text string) string {
	secrets := []string{t.Node.DriverInternalInfo.String(drivers.KeyAgentToken), d.cfg.ImageCredentials.Password}
	var token string
	if found, err := t.Worker.Journal(t).Get(ctx, journalImageToken, &token); err == nil && found {
		secrets = append(secrets, token)
	}
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, mask)
		}
	}
	return text
}

// stepStatus tells from an agent's commands, oldest first, how the step that the node's row names stands.
func stepStatus(n *store.Node, kind drivers.StepKind, commands []command, current store.Dict) (drivers.StepStatus, error) {
	// A worker that was interrupted asks for the steps again.
	listing := fmt.Sprintf("get_%s_steps", kind)
	if !slices.ContainsFunc(commands, func(c command) bool { return c.Name != listing }) {
		return drivers.StepStatus{State: drivers.StepNotStarted}, nil
	}
	newest := commands[len(commands)-1]
	if newest.Name != fmt.Sprintf("execute_%s_step", kind) {
		// An out-of-band step may be running, or the command has not begun yet.
		return drivers.StepStatus{State: drivers.StepUnknown}, nil
	}
	switch newest.Status {
	case statusRunning:
		return drivers.StepStatus{State: drivers.StepRunning}, nil
	case statusSucceeded:
		if !sameStep(newest.result().Dict(string(kind)+"_step"), current) {
			return drivers.StepStatus{State: drivers.StepUnknown}, nil
		}
		return drivers.StepStatus{State: drivers.StepSucceeded, Result: newest.result()}, nil
	case statusFailed:
		return drivers.StepStatus{State: drivers.StepFailed, Error: newest.failure()}, nil
	case "VERSION_MISMATCH", "CLEAN_VERSION_MISMATCH":
		return drivers.StepStatus{State: drivers.StepVersionMismatch}, nil
	}
	return drivers.StepStatus{}, stepError(kind, "Agent returned unknown status for %s step %s.%s on node %s : %s.",
		kind, current.String("interface"), current.String("step"), n.UUID, newest.Status)
}

func sortedKeys(d store.Dict) []string {
	keys := make([]string, 0, len(d))
	for key := range d {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// internalInfo returns the node's driver_internal_info, to be written to.
func internalInfo(n *store.Node) store.Dict {
	if n.DriverInternalInfo == nil {
		n.DriverInternalInfo = store.Dict{}
	}
	return n.DriverInternalInfo
}
