package conductor

import (
	"context"
	"errors"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

func TestInstallersTellHowFarTheyAre(t *testing.T) {
	step := store.Dict{"interface": "deploy", "step": "deploy", "priority": 100}
	for _, c := range []struct {
		name, status, message string
		finish                func(*drivers.Task) error
		want                  string
		lastError             string
		did                   []string
	}{
		{name: "begun", status: "start", message: "here we go", want: store.DeployWait},
		{name: "ended", status: "end", message: "done", want: store.Active, did: []string{"finish install"}},
		{name: "failed", status: "error", message: "no disk", want: store.DeployFail, lastError: "no disk"},
		{name: "an agent's heartbeat", want: store.DeployFail},
		{name: "ended badly", status: "end", finish: func(*drivers.Task) error { return errors.New("no BMC") }, want: store.DeployFail,
			did: []string{"finish install"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := startWorker(t, nil)
			w.script.use(behaviour{finishInstall: c.finish})
			n := w.waiting(t, store.DeployWait, func(n *store.Node) { n.DeployInterface, n.DeployStep = "installing", step })
			args := beatArgs(n)
			args["callback_url"] = ""
			if c.status != "" {
				delete(args, "agent_version")
				args["agent_status"], args["agent_status_message"] = c.status, c.message
			}
			w.must(t, "heartbeat", args)
			waitUntil(t, "the node is in "+c.want, func() bool { return w.row(t, n.UUID).ProvisionState == c.want })
			w.unlocked(t)
			got := w.row(t, n.UUID)
			last := c.lastError
			if c.finish != nil {
				last = "Deploy step deploy.deploy failed: An error occurred after deployment, while preparing to reboot the node " + n.UUID +
					": no BMC"
			}
			equal(t, "last error", got.LastError, last)
			equal(t, "heartbeat noted", got.DriverInternalInfo.String("agent_status"), c.status)
			if did := w.script.did("finish install"); len(did) != len(c.did) {
				t.Errorf("did %q", did)
			}
		})
	}
}

// An installer that could not read on, because the worker that it read from went away, is started anew.
func TestAnInstallerWhoseWorkerWentAwayBeginsAgain(t *testing.T) {
	w := startWorker(t, nil)
	installs := 0
	w.script.use(behaviour{steps: map[drivers.StepKind][]drivers.Step{drivers.DeployStep: {{Interface: drivers.TypeDeploy, Name: "deploy",
		Priority: 100, ReadsFromWorker: true, Run: func(context.Context, *drivers.Task, store.Dict) (drivers.Outcome, error) {
			installs++
			return drivers.Waiting, nil
		}}}}})
	step := map[string]any{"interface": "deploy", "step": "deploy", "priority": 100}
	n := w.waiting(t, store.DeployWait, func(n *store.Node) {
		n.DeployInterface, n.DeployStep = "installing", step
		n.DriverInternalInfo["deploy_steps"], n.DriverInternalInfo["deploy_step_index"] = []any{step}, 0
		n.DriverInternalInfo[keyEpoch] = store.Dict{markHost: w.cfg.Host, markStep: "another/1"}
	})
	args := beatArgs(n)
	args["agent_status"], args["agent_status_message"] = "error", "no image"
	w.must(t, "heartbeat", args)
	w.unlocked(t)
	if got := w.row(t, n.UUID); got.ProvisionState != store.DeployWait || installs != 1 {
		t.Errorf("the node is in %s (%s), installed %d times", got.ProvisionState, got.LastError, installs)
	}
}
