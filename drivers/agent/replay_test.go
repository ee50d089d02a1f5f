package agent

import (
	"encoding/json"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// exchange is one recorded request of the Python conductor to an agent and the agent's answer.
type exchange struct {
	Method   string     `json:"method"`
	Path     string     `json:"path"`
	Status   int        `json:"status"`
	Request  store.Dict `json:"request"`
	Response store.Dict `json:"response"`
}

func recording(t *testing.T, name string) []exchange {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var list []exchange
	if err := decodeAnswer(text, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// recordedNode turns the node of a recorded request back into a row, with ports.
func recordedNode(t *testing.T, params store.Dict) (*store.Node, []*store.Port) {
	t.Helper()
	n := &store.Node{}
	fill(t, n, params.Dict("node"))
	var ports []*store.Port
	for _, item := range params.List("ports") {
		p := &store.Port{}
		fill(t, p, store.Dict{"p": item}.Dict("p"))
		ports = append(ports, p)
	}
	return n, ports
}

func fill(t *testing.T, model any, doc store.Dict) {
	t.Helper()
	v := reflect.ValueOf(model).Elem()
	for _, f := range store.FieldsOf(v.Type()) {
		value := doc[f.Name]
		if value == nil {
			continue
		}
		field := v.Field(f.Index)
		if field.Type() == reflect.TypeFor[time.Time]() {
			at, err := time.Parse("2006-01-02T15:04:05.000000", value.(string))
			if err != nil {
				t.Fatal(err)
			}
			field.Set(reflect.ValueOf(at))
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if err := decodeAnswer(text, field.Addr().Interface()); err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
	}
}

// normal is a value as it looks after JSON, with what differs from run to run evened out.
func normal(t *testing.T, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := decodeAnswer(text, &out); err != nil {
		t.Fatal(err)
	}
	return evened(out)
}

func evened(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, item := range v {
			switch {
			case key == "agent_url" || key == "agent_verify_ca":
				delete(v, key)
			case key == keyConfigDrive && strings.HasPrefix(store.Dict(v).String(key), "H4sI"):
				v[key] = "a packed config drive"
			default:
				v[key] = evened(item)
			}
		}
	case []any:
		for i, item := range v {
			v[i] = evened(item)
		}
	}
	return v
}

// replayer is an agent that answers as recorded, and a test that compares what it was asked.
type replayer struct {
	t         *testing.T
	exchanges []exchange
	next      int
}

func (r *replayer) answer(req *http.Request, body store.Dict) (int, any) {
	if r.next >= len(r.exchanges) {
		r.t.Errorf("the recording is over, asked for %s %v", req.Method, body["name"])
		return 500, store.Dict{"faultstring": "the recording is over"}
	}
	want := r.exchanges[r.next]
	r.next++
	if req.Method != want.Method {
		r.t.Errorf("exchange %d: %s, recorded %s", r.next, req.Method, want.Method)
	}
	if want.Request != nil {
		if wait := "wait=" + req.URL.Query().Get("wait") + "&"; !strings.Contains(want.Path, wait) {
			r.t.Errorf("exchange %d: %s, recorded %s", r.next, wait, want.Path)
		}
		if got, recorded := normal(r.t, body), normal(r.t, want.Request); !reflect.DeepEqual(got, recorded) {
			r.t.Errorf("exchange %d:\ngot      %v\nrecorded %v", r.next, got, recorded)
		}
	}
	if want.Response == nil {
		return 200, cmd(shortName(want.Request.String("name")), "SUCCEEDED")
	}
	return want.Status, want.Response
}

// play runs one action at a node as the next recorded request shows it, and holds that the action made as many requests as
// were recorded.
func (r *replayer) play(requests int, act func() error) {
	r.t.Helper()
	before := r.next
	if err := act(); err != nil {
		r.t.Fatalf("exchange %d: %v", r.next, err)
	}
	if r.next-before != requests {
		r.t.Fatalf("%d requests, recorded %d", r.next-before, requests)
	}
}

// become makes the rig's node the one of the next recorded request.
func (r *replayer) become(a *agentServer, g *rig) {
	r.t.Helper()
	n, ports := recordedNode(r.t, r.exchanges[r.next].Request.Dict("params"))
	a.adopt(r.t, n)
	g.task.Node, g.worker.ports = n, ports
}

func (r *replayer) step(g *rig, name string, want drivers.Outcome) func() error {
	return func() error {
		for _, s := range g.deploy.Steps(drivers.DeployStep) {
			if s.Name == name {
				outcome, err := s.Run(r.t.Context(), g.task, nil)
				if outcome != want {
					r.t.Errorf("%s: outcome %v, want %v", name, outcome, want)
				}
				return err
			}
		}
		r.t.Fatalf("no step %s", name)
		return nil
	}
}

func (r *replayer) status(g *rig, kind drivers.StepKind, want drivers.StepState) func() error {
	return func() error {
		status, err := g.deploy.StepStatus(r.t.Context(), g.task, kind)
		if status.State != want {
			r.t.Errorf("state %v, want %v", status.State, want)
		}
		return err
	}
}

func (r *replayer) refresh(g *rig, kind drivers.StepKind) func() error {
	return func() error { return g.deploy.RefreshSteps(r.t.Context(), g.task, kind) }
}

func newReplay(t *testing.T, file string, cfg Config) (*replayer, *agentServer, *rig) {
	t.Helper()
	r := &replayer{t: t, exchanges: recording(t, file)}
	a := newAgent(t, r.answer)
	cfg.Logs = LogsConfig{Collect: CollectAlways, Dir: t.TempDir()}
	g := newRig(t, cfg, a.node(t))
	return r, a, g
}

// One run with a real agent: cleaning, then a deployment with the image served by the worker as raw.
func TestReplayCleaningAndDeployment(t *testing.T) {
	r, a, g := newReplay(t, "redfish-virtual-media-clean-local.json", quick())
	r.become(a, g)
	r.play(1, r.refresh(g, drivers.CleanStep))
	r.become(a, g)
	r.play(1, func() error {
		_, err := g.deploy.ExecuteStep(t.Context(), g.task, drivers.CleanStep, g.task.Node.CleanStep)
		return err
	})
	r.play(1, r.status(g, drivers.CleanStep, drivers.StepSucceeded))
	r.play(1, func() error { g.deploy.CollectLogs(t.Context(), g.task, "cleaning", false); return nil })
	r.become(a, g)
	r.play(1, r.refresh(g, drivers.DeployStep))
	r.play(1, r.status(g, drivers.DeployStep, drivers.StepNotStarted))
	r.become(a, g)
	r.finishDeployment(g, 6, "0x00000000")
}

// finishDeployment plays from write_image to the end. The next exchange is the sending of write_image; prepare is how many
// exchanges prepare_instance_boot has.
func (r *replayer) finishDeployment(g *rig, prepare int, root string) {
	r.t.Helper()
	r.play(1, r.step(g, "write_image", drivers.Waiting))
	r.play(1, r.status(g, drivers.DeployStep, drivers.StepSucceeded))
	r.play(prepare, r.step(g, "prepare_instance_boot", drivers.Done))
	if g.management.device != "disk" || !g.management.persistent {
		r.t.Errorf("boot device %s, persistent %v", g.management.device, g.management.persistent)
	}
	if len(g.calls) != 1 || g.calls[0] != "prepare_instance" {
		r.t.Errorf("boot interface: %v", g.calls)
	}
	if g.task.Node.DriverInternalInfo.String("root_uuid_or_disk_id") != root {
		r.t.Errorf("root UUID %v", g.task.Node.DriverInternalInfo["root_uuid_or_disk_id"])
	}
	g.task.Node.PowerState = store.PowerOff
	r.play(2, r.step(g, "tear_down_agent", drivers.Done))
	if r.next != len(r.exchanges) {
		r.t.Errorf("%d of %d exchanges played", r.next, len(r.exchanges))
	}
	if len(g.worker.power) != 0 {
		r.t.Errorf("the BMC was asked for %v although the agent had switched the node off", g.worker.power)
	}
}

// Another run, with a config drive, which the conductor builds of its parts.
func TestReplayConfigDrive(t *testing.T) {
	r, a, g := newReplay(t, "redfish-ipxe-whole-disk-configdrive.json", quick())
	r.become(a, g)
	r.play(1, r.refresh(g, drivers.DeployStep))
	r.play(1, r.status(g, drivers.DeployStep, drivers.StepNotStarted))
	r.become(a, g)
	r.finishDeployment(g, 6, "")
}

// Runs with other boot and management interfaces, and one with a partition image, whose boot loader the agent installs. Their
// polls are left out from the third on.
func TestReplayDeployments(t *testing.T) {
	for file, root := range map[string]string{
		"redfish-virtual-media-whole-disk.json": "0x00000000",
		"ipmi-ipxe-partition.json":              "8c65efd6-6b58-40fd-874b-8723f48faf84",
	} {
		t.Run(file, func(t *testing.T) {
			r, a, g := newReplay(t, file, quick())
			r.become(a, g)
			r.play(1, r.refresh(g, drivers.DeployStep))
			r.play(1, r.status(g, drivers.DeployStep, drivers.StepNotStarted))
			r.become(a, g)
			r.finishDeployment(g, 5, root)
		})
	}
}

// What a pretended agent was sent, for a whole-disk and for a partition image, on machines that boot by BIOS.
func TestReplayPretendedAgent(t *testing.T) {
	for file, prepare := range map[string]int{"agent-http--direct-whole-disk.json": 1, "agent-http--direct-partition.json": 1} {
		r := &replayer{t: t, exchanges: recording(t, file)}
		r.exchanges[0].Status = 200
		r.exchanges[0].Response = cmd("get_deploy_steps", "SUCCEEDED")
		r.exchanges[0].Response["command_result"] = store.Dict{"deploy_steps": store.Dict{}, keyHardwareVersion: store.Dict{}}
		a := newAgent(t, r.answer)
		cfg := quick()
		cfg.Logs.Collect = CollectNever
		g := newRig(t, cfg, a.node(t))
		r.become(a, g)
		r.play(1, r.refresh(g, drivers.DeployStep))
		r.become(a, g)
		r.play(1, r.step(g, "write_image", drivers.Waiting))
		if strings.Contains(file, "partition") {
			continue
		}
		r.play(prepare, r.step(g, "prepare_instance_boot", drivers.Done))
		g.task.Node.PowerState = store.PowerOff
		r.play(1, r.step(g, "tear_down_agent", drivers.Done))
	}
}

func TestNodeDocumentHasTheRecordedKeys(t *testing.T) {
	for _, e := range recording(t, "agent-http--direct-whole-disk.json")[:1] {
		n, _ := recordedNode(t, e.Request.Dict("params"))
		n.Traits = []string{"CUSTOM_A"}
		doc := nodeDocument(n, false)
		if len(doc) != 59 {
			t.Errorf("%d keys", len(doc))
		}
		traits := doc.Dict("traits").List("objects")
		if len(traits) != 1 || traits[0].(store.Dict)["trait"] != "CUSTOM_A" {
			t.Errorf("traits %v", doc["traits"])
		}
	}
}
