package conductor

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

// told returns the progress events of a node that its worker has in its outbox, as "status: payload".
func (w *worker) told(t *testing.T, node string) (status []string, payloads []ProgressPayload) {
	t.Helper()
	events, err := w.local.Peek(0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		kind, ok := strings.CutPrefix(e.Topic, ProgressTopic+".")
		if !ok || e.Node != node {
			continue
		}
		n, err := oslo.DecodeNotification(e.Body)
		if err != nil {
			t.Fatal(err)
		}
		var object struct {
			Name string          `json:"ironic_object.name"`
			Data ProgressPayload `json:"ironic_object.data"`
		}
		if err := json.Unmarshal(n.Payload, &object); err != nil || object.Name != "NodeDeployProgressPayload" {
			t.Fatalf("payload %s: %v", n.Payload, err)
		}
		end := strings.TrimPrefix(n.EventType, "baremetal.node.deploy_progress.")
		equal(t, "level of "+end, kind, map[bool]string{true: "error", false: "info"}[end == flowError])
		equal(t, "durable", e.Volatile, end == flowUpdate)
		status, payloads = append(status, end), append(payloads, object.Data)
	}
	return status, payloads
}

func TestBytesAreToldNowAndThenAndAtTheEnd(t *testing.T) {
	w := idle(t, nil)
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Deploying })
	held := w.lock(t, n.UUID, lockMode{purpose: "a test"})
	defer func() { _ = held.release(t.Context()) }()
	held.Node.DriverInternalInfo["deploy_steps"] = []any{map[string]any{"interface": "deploy", "step": "write_image"}}
	held.reportFlow(t.Context(), flowDeploy, flowStart, "")
	held.reportStep(t.Context(), drivers.DeployStep, 0, store.Dict{"interface": "deploy", "step": "write_image"})

	const total = 1000
	w.clock.stop()
	w.Report(held.Task, drivers.Progress{Doing: "writing", Bytes: 100, Total: total}) // too soon after the step's beginning
	for _, bytes := range []int64{200, 300, 400} {
		w.clock.forward(2 * time.Second)
		w.Report(held.Task, drivers.Progress{Doing: "writing", Bytes: bytes, Total: total})
	}
	w.Report(held.Task, drivers.Progress{Doing: "writing", Bytes: total, Total: total})
	w.Report(held.Task, drivers.Progress{Doing: "writing", Bytes: total, Total: total})
	w.Report(held.Task, drivers.Progress{Doing: "the agent boots", Waiting: true})
	held.reportFlow(t.Context(), flowDeploy, flowEnd, "")
	w.Report(held.Task, drivers.Progress{Doing: "late", Waiting: true})

	status, told := w.told(t, n.UUID)
	if !slices.Equal(status, []string{"start", "update", "update", "update", "update", "end"}) {
		t.Fatalf("told %q", status)
	}
	equal(t, "flow", told[0].Flow, "deploy")
	equal(t, "step", *told[1].Step, "deploy.write_image")
	equal(t, "index and total", *told[1].Index*10+*told[1].Total, 1)
	moving := told[2]
	equal(t, "percent", *moving.Percent, 40)
	equal(t, "bytes", *moving.BytesDone, 400)
	// 300 bytes in 6 s since the first were seen.
	equal(t, "rate", *moving.Rate, 50)
	equal(t, "ETA", *moving.ETA, 12)
	equal(t, "reason", *moving.Reason, "writing")
	equal(t, "percent at the end", *told[3].Percent, 100)
	equal(t, "waiting", told[4].Waiting, true)
	if told[4].Percent != nil {
		t.Errorf("waiting has a percentage: %v", *told[4].Percent)
	}
}

func TestBootFilesAreToldWhileAFlowRunsOnly(t *testing.T) {
	w := idle(t, nil)
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.DeployWait })
	held := w.lock(t, n.UUID, lockMode{purpose: "a test"})
	defer func() { _ = held.release(t.Context()) }()
	w.clock.stop()
	file := drivers.Transfer{Node: n.UUID, File: n.UUID + "/deploy_kernel", By: "TFTP", Peer: "192.0.2.7:2070", Bytes: 10, Total: 40}
	w.NoteTransfer(t.Context(), file)
	held.reportFlow(t.Context(), flowDeploy, flowStart, "")
	w.NoteTransfer(t.Context(), file)
	file.Bytes = 20 // too soon
	w.NoteTransfer(t.Context(), file)
	file.Bytes = 40
	w.NoteTransfer(t.Context(), file)
	w.NoteTransfer(t.Context(), drivers.Transfer{File: "undionly.kpxe", Bytes: 1, Total: 1})

	status, told := w.told(t, n.UUID)
	if !slices.Equal(status, []string{"start", "update", "update"}) {
		t.Fatalf("told %q", status)
	}
	equal(t, "percent", *told[1].Percent, 25)
	equal(t, "percent at the end", *told[2].Percent, 100)
	equal(t, "state", told[2].ProvisionState, store.DeployWait)
	equal(t, "waiting", told[2].Waiting, true)
	equal(t, "reason", *told[2].Reason, "the machine loads "+n.UUID+"/deploy_kernel by TFTP from this conductor")
}

func TestFlowsTellTheirStepsAndHowTheyEnd(t *testing.T) {
	w := startWorker(t, nil)
	w.bus.away.Store(true)
	defer w.bus.away.Store(false)
	broken := errors.New("smoke")
	for _, c := range []struct {
		name   string
		acts   behaviour
		state  string
		want   string
		reason string
	}{
		{name: "well", acts: behaviour{steps: deploySteps(step("one", 9, drivers.Done, nil), step("two", 8, drivers.Done, nil))},
			state: store.Active, want: "start update deploy.one 0/2 update deploy.two 1/2 end"},
		{name: "badly", acts: behaviour{steps: deploySteps(step("one", 9, drivers.Done, broken))}, state: store.DeployFail,
			want: "start update deploy.one 0/1 error", reason: "Deploy step deploy.one failed: smoke."},
		{name: "waiting", acts: behaviour{steps: deploySteps(step("one", 9, drivers.Waiting, nil))}, state: store.DeployWait,
			want: "start update deploy.one 0/1 update deploy.one 0/1", reason: "waiting for the agent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := w.available(t, nil)
			w.script.use(c.acts)
			w.must(t, "do_node_deploy", map[string]any{"node_id": n.UUID})
			w.settled(t, n.UUID, c.state)
			w.unlocked(t)
			status, told := w.told(t, n.UUID)
			var got []string
			for i, p := range told {
				got = append(got, status[i])
				if p.Step != nil {
					got = append(got, *p.Step, string(rune('0'+*p.Index))+"/"+string(rune('0'+*p.Total)))
				}
			}
			equal(t, "told", strings.Join(got, " "), c.want)
			if c.reason != "" {
				equal(t, "reason", *told[len(told)-1].Reason, c.reason)
			}
		})
	}
}

// An automated cleaning that is switched off is no flow that anybody has to hear of.
func TestNoCleaningNoProgress(t *testing.T) {
	w := startWorker(t, func(c *Config) { c.AutomatedClean = false })
	w.bus.away.Store(true)
	defer w.bus.away.Store(false)
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Manageable })
	w.must(t, "do_provisioning_action", map[string]any{"node_id": n.UUID, "action": "provide"})
	w.settled(t, n.UUID, store.Available)
	w.unlocked(t)
	if status, _ := w.told(t, n.UUID); len(status) != 0 {
		t.Errorf("told %q", status)
	}
}
