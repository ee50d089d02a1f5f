package conductor

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// An image whose writing failed while its worker was away is written again, for a bounded number of times.
func TestAStepThatLostItsWorkerBeginsAnew(t *testing.T) {
	w := startWorker(t, nil)
	sent := drivers.Step{Interface: drivers.TypeDeploy, Name: "write", Priority: 90, ReadsFromWorker: true,
		Run: func(context.Context, *drivers.Task, store.Dict) (drivers.Outcome, error) {
			w.script.called("run write")
			return drivers.Waiting, nil
		}}
	for _, c := range []struct {
		name, began string
		tries       any
		status      drivers.StepState
		state       string
		runs        int
	}{
		{"failed while another run served it", "worker-1/7", nil, drivers.StepFailed, store.DeployWait, 1},
		{"failed while another worker served it", "worker-0/7", 2, drivers.StepFailed, store.DeployWait, 1},
		{"found to have lost its worker by one that was killed then", "", 1, drivers.StepFailed, store.DeployWait, 1},
		{"failed once too often", "worker-0/7", maxTries, drivers.StepFailed, store.DeployFail, 0},
		{"failed while this run served it", w.runName(), nil, drivers.StepFailed, store.DeployFail, 0},
		{"an agent started anew", w.runName(), nil, drivers.StepNotStarted, store.DeployWait, 1},
		{"an agent that always starts anew", w.runName(), maxTries, drivers.StepNotStarted, store.DeployFail, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.script.use(behaviour{steps: deploySteps(sent), status: func() (drivers.StepStatus, error) {
				return drivers.StepStatus{State: c.status, Error: "no more bytes"}, nil
			}})
			n := w.waiting(t, store.DeployWait, func(n *store.Node) {
				n.DeployStep = begun("write")
				n.DriverInternalInfo["deploy_steps"] = []any{map[string]any{"interface": "deploy", "step": "write"}}
				n.DriverInternalInfo["deploy_step_index"], n.DriverInternalInfo["steps_validated"] = 0, true
				n.DriverInternalInfo["agent_cached_deploy_steps"] = store.Dict{"deploy": []any{}}
				n.DriverInternalInfo[keyEpoch] = store.Dict{markHost: "worker-1", markNumber: 1, markStep: c.began, markTries: c.tries}
				if c.began == "" {
					n.DriverInternalInfo["skip_current_deploy_step"] = false
				}
			})
			w.must(t, "heartbeat", beatArgs(n))
			w.unlocked(t)
			got := w.settled(t, n.UUID, c.state)
			equal(t, "times sent", len(w.script.did("run write")), c.runs)
			if c.runs > 0 {
				equal(t, "whose it is now", mark(got).String(markStep), w.runName())
			}
		})
	}
}

// A worker that was killed after it had found that a step must begin anew, and before it began it, leaves that to the next.
func TestAStepThatWasToBeginAnewDoes(t *testing.T) {
	for _, began := range []string{"", "worker-1/7"} {
		r := newRig(t, nil)
		r.script.use(r.script.usualSteps())
		before := idleOn(t, r)
		n := before.crashed(t, interruptedFlows()[2], "worker-1")
		info := before.row(t, n.UUID).DriverInternalInfo
		info[keyEpoch] = store.Dict{markHost: "worker-1", markNumber: 1, markStep: began, markTries: 1}
		text, err := json.Marshal(info)
		if err != nil {
			t.Fatal(err)
		}
		before.exec(t, "UPDATE nodes SET driver_internal_info = ? WHERE uuid = ?", string(text), n.UUID)
		before.closeMemory()
		w := r.start(t)
		w.settled(t, n.UUID, store.Active)
		want := "[resume one run two]"
		if began == "" {
			want = "[run one run two]"
		}
		equal(t, fmt.Sprintf("steps, when the step was begun by %q", began), fmt.Sprint(w.script.did("run one", "resume one", "run two")), want)
	}
}

// A step that nobody could say to have begun is looked into at the next heartbeat.
func TestAnAgentThatCouldNotBeAskedIsAskedAgain(t *testing.T) {
	w := startWorker(t, nil)
	w.script.use(behaviour{steps: deploySteps(), inBand: deploySteps(step("burn", 90, drivers.Done, nil)),
		status: func() (drivers.StepStatus, error) { return drivers.StepStatus{State: drivers.StepUnknown}, nil }})
	n := w.waiting(t, store.DeployWait, func(n *store.Node) {
		n.DeployStep = begun("burn")
		n.DriverInternalInfo["deploy_steps"] = []any{map[string]any{"interface": "deploy", "step": "burn"}}
		n.DriverInternalInfo["deploy_step_index"], n.DriverInternalInfo["steps_validated"] = 0, true
		n.DriverInternalInfo["skip_current_deploy_step"] = false
		n.DriverInternalInfo["agent_cached_deploy_steps"] = store.Dict{"deploy": []any{}}
		n.DriverInternalInfo[keyEpoch] = store.Dict{markHost: "worker-1", markNumber: 1, markStep: "worker-1/1"}
	})
	w.must(t, "heartbeat", beatArgs(n))
	w.unlocked(t)
	w.settled(t, n.UUID, store.DeployWait)
	equal(t, "what the agent was asked", fmt.Sprint(w.script.did("agent.execute deploy.burn", "agent.resume deploy.burn")),
		"[agent.resume deploy.burn]")
}
