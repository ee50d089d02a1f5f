package conductor

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/local"
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

// installs enrols a node whose installer is expected, and returns what its heartbeat of a status says.
func (w *worker) installs(t *testing.T, state string) (*store.Node, func(status string) map[string]any) {
	t.Helper()
	n := w.waiting(t, state, func(n *store.Node) {
		n.DeployInterface, n.DeployStep = "installing", store.Dict{"interface": "deploy", "step": "deploy", "priority": 100}
	})
	return n, func(status string) map[string]any {
		return map[string]any{"node_id": n.UUID, "callback_url": "", "agent_token": "t0k3n", "agent_status": status,
			"agent_status_message": "it says so"}
	}
}

// What an installer says is in the row when ironic-api is answered.
func TestAnInstallersWordIsKeptBeforeItIsAnswered(t *testing.T) {
	for _, state := range []string{store.Deploying, store.DeployWait} {
		w := idle(t, nil)
		n, beat := w.installs(t, state)
		kept := ""
		err := w.readNode(t.Context(), oslo.AdminContext(), n.UUID, "heartbeat", func(ctx context.Context, held *task) error {
			err := held.takeHeartbeat(ctx, argsOf(t, beat("start")))
			kept = w.row(t, n.UUID).DriverInternalInfo.String(keyInstallStatus)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "kept in "+state, kept, "start")
		w.pool.Close()
	}
}

func argsOf(t *testing.T, args map[string]any) (a heartbeatArgs) {
	t.Helper()
	text, err := json.Marshal(args)
	if err == nil {
		err = json.Unmarshal(text, &a)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// An installer's beginning is not taken while somebody holds the node, who may be about to boot the machine anew.
func TestAnInstallerMayNotBeginWhileItsNodeIsHeld(t *testing.T) {
	for _, holder := range []string{"worker-1", "worker-2"} {
		w := startWorker(t, nil)
		n, beat := w.installs(t, store.DeployWait)
		if _, err := w.db.Reserve(t.Context(), n.UUID, holder); err != nil {
			t.Fatal(err)
		}
		if holder == w.cfg.Host {
			// Nobody takes a reservation of this worker's own for stale which has its record.
			if _, err := w.records.TryLock(local.Lock{Node: n.UUID, Purpose: "a test"}); err != nil {
				t.Fatal(err)
			}
		}
		w.refused(t, store.NodeLocked, "heartbeat", beat("start"))
		equal(t, "noted", w.row(t, n.UUID).DriverInternalInfo[keyInstallStatus] == nil, true)
	}
}

// An installer's end outlives the time in which somebody holds the node, and its worker too. One of a boot before the holder's is
// not taken.
func TestAnInstallersEndWaitsUntilTheNodeIsFree(t *testing.T) {
	for _, c := range []struct {
		name, token  string
		dies         bool
		state, noted string
	}{
		{name: "free again", token: "t0k3n", state: store.Active, noted: "end"},
		{name: "free again after a restart", token: "t0k3n", dies: true, state: store.Active, noted: "end"},
		{name: "booted anew", token: "another", state: store.DeployWait},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.GracefulShutdownTimeout = 0 })
			w := r.start(t)
			n, beat := w.installs(t, store.DeployWait)
			if _, err := w.db.Reserve(t.Context(), n.UUID, "worker-2"); err != nil {
				t.Fatal(err)
			}
			w.must(t, "heartbeat", beat("end"))
			calls, err := w.local.Pending()
			equal(t, "in the inbox", err == nil && len(calls) == 1, true)
			if c.dies {
				w.stop()
				w = r.start(t)
			}
			w.exec(t, "UPDATE nodes SET driver_internal_info = REPLACE(driver_internal_info, 't0k3n', ?) WHERE uuid = ?", c.token, n.UUID)
			if err := w.db.Release(t.Context(), n.ID, "worker-2"); err != nil {
				t.Fatal(err)
			}
			waitUntil(t, "the inbox is empty", func() bool {
				calls, err := w.local.Pending()
				return err == nil && len(calls) == 0
			})
			w.unlocked(t)
			got := w.row(t, n.UUID)
			equal(t, "state", got.ProvisionState, c.state)
			equal(t, "noted", got.DriverInternalInfo.String(keyInstallStatus), c.noted)
		})
	}
}
