package conductor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

// explain asks a worker as `ironmaster explain` does; it returns the answer as it is, too.
func (w *worker) explain(t *testing.T, node string) (x Explanation, status int, raw string) {
	t.Helper()
	recorder := httptest.NewRecorder()
	w.AdminHandler(prometheus.NewRegistry()).ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/explain?node="+node, nil))
	raw = recorder.Body.String()
	if recorder.Code == http.StatusOK {
		if err := json.Unmarshal([]byte(raw), &x); err != nil {
			t.Fatal(err)
		}
	}
	return x, recorder.Code, raw
}

// lines are the moments of a timeline, a kind and a text each.
func (x Explanation) lines() []string {
	var lines []string
	for _, m := range x.Timeline {
		lines = append(lines, m.Kind+" "+m.Text)
	}
	return lines
}

// inOrder reports which of the lines wanted does not follow the ones before it.
func inOrder(got, want []string) (missing string) {
	at := 0
	for _, w := range want {
		for at < len(got) && !strings.Contains(got[at], w) {
			at++
		}
		if at == len(got) {
			return w
		}
	}
	return ""
}

func TestExplainTellsAWholeDeploymentWithoutSecrets(t *testing.T) {
	const (
		password, token  = "pa55-of-the-bmc", "t0ken-of-the-agent"
		temporary, drive = "https://swift.example/v1/disk?temp_url_sig=s1gnature", "Y29uZmlnLWRyaXZl"
	)
	w := startWorker(t, nil)
	n := w.enroll(t, func(n *store.Node) {
		n.ProvisionState, n.Name = store.Available, pointer("machine-7")
		n.DriverInfo = store.Dict{"redfish_password": password}
		n.InstanceInfo = store.Dict{"image_url": temporary, "configdrive": drive}
	})
	w.script.use(behaviour{steps: map[drivers.StepKind][]drivers.Step{drivers.DeployStep: {{Interface: drivers.TypeDeploy,
		Name: "deploy", Priority: 100, Run: func(ctx context.Context, dt *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
			dt.Node.DriverInternalInfo[keyAgentToken] = token
			for range 3 {
				drivers.Overhear(ctx, drivers.Exchange{With: drivers.WithBMC, Asked: "GET /redfish/v1/Systems/1", Answer: "HTTP 200"})
			}
			drivers.Overhear(ctx, drivers.Exchange{With: drivers.WithBMC, Asked: "POST /redfish/v1/Media", Err: fmt.Errorf(
				"%s was refused with %s and %s for %s", temporary, password, token, drive)})
			return drivers.Done, errors.New("no medium from " + temporary + " with " + password)
		}}}}})
	w.must(t, "do_node_deploy", map[string]any{"node_id": n.UUID})
	w.settled(t, n.UUID, store.DeployFail)
	w.unlocked(t)

	x, _, raw := w.explain(t, "machine-7")
	want := []string{"request do_node_deploy", "state available -> deploying", "step deploy step 1 of 1: deploy.deploy",
		"bmc GET /redfish/v1/Systems/1", "bmc POST /redfish/v1/Media", "error Deploy step deploy.deploy failed", "state deploying -> deploy failed"}
	if missing := inOrder(x.lines(), want); missing != "" {
		t.Errorf("%q is missing or out of order in %q", missing, x.lines())
	}
	for _, m := range x.Timeline {
		if strings.HasPrefix(m.Text, "GET") && (m.Count != 3 || m.Failed || !strings.HasPrefix(m.Result, "HTTP 200")) ||
			strings.HasPrefix(m.Text, "POST") && (!m.Failed || m.Result != "https://swift.example/... was refused with *** and *** for ***") {
			t.Errorf("told as %+v", m)
		}
	}
	if x.Reason.Rule != "failed" || !x.Running || x.Owner != "worker-1" || x.Node.UUID != n.UUID || x.Node.ProvisionState != store.DeployFail {
		t.Errorf("explained as %+v of %+v", x.Reason, x.Node)
	}
	for _, secret := range []string{password, token, "s1gnature", drive} {
		if strings.Contains(raw, secret) {
			t.Errorf("the answer holds %q: %s", secret, raw)
		}
	}
}

func TestExplainOfANodeThatIsNot(t *testing.T) {
	w := startWorker(t, nil)
	if _, status, raw := w.explain(t, "nobody"); status != http.StatusNotFound || !strings.Contains(raw, "nobody could not be found") {
		t.Errorf("answered %d: %s", status, raw)
	}
}

func TestExplainWithoutADatabase(t *testing.T) {
	r := newRig(t, nil)
	w := r.start(t)
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Available })
	w.must(t, "do_node_deploy", map[string]any{"node_id": n.UUID})
	w.settled(t, n.UUID, store.Active)
	e := Explainer{DatabaseErr: errors.New("connection refused"), Local: w.local, Config: r.cfg, Now: w.now}
	x, err := e.Explain(t.Context(), n.UUID)
	if err != nil || x.Reason.Rule != "database away" || inOrder(x.lines(), []string{"available -> deploying", "-> active"}) != "" {
		t.Errorf("%v, %+v, %q", err, x.Reason, x.lines())
	}
	if _, err := e.Explain(t.Context(), "machine-7"); err == nil || !strings.Contains(err.Error(), "by its UUID only") {
		t.Errorf("a name was explained: %v", err)
	}
}

func TestPowerSyncTellsOnlyWhatFailed(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, nil)
	task := w.newTask(oslo.AdminContext(), n, "power state sync")
	ctx := task.overheard(t.Context())
	drivers.Overhear(ctx, drivers.Exchange{With: drivers.WithBMC, Asked: "GET /well", Answer: "HTTP 200"})
	drivers.Overhear(ctx, drivers.Exchange{With: drivers.WithBMC, Asked: "GET /ill", Err: errors.New("no answer")})
	x, _, _ := w.explain(t, n.UUID)
	if text := strings.Join(x.lines(), "\n"); strings.Contains(text, "GET /well") || !strings.Contains(text, "GET /ill") {
		t.Errorf("told %s", text)
	}
}

func TestWithoutSecrets(t *testing.T) {
	n := &store.Node{DriverInfo: store.Dict{"redfish_password": "pass", "redfish_username": "root"},
		DriverInternalInfo: store.Dict{"agent_secret_token": "passport", "deploy_steps": []any{map[string]any{"args": map[string]any{
			"password": "deep-one"}}}},
		InstanceInfo: store.Dict{"configdrive": map[string]any{"user_data": "#cloud-config"}, "image_url": nil}}
	for text, want := range map[string]string{
		"":                                 "",
		"root has passport, pass":          "root has ***, ***",
		"deep-one and #cloud-config in it": "*** and *** in it",
		"GET http://u:p@10.0.0.1:8182/secret/disk?sig=1: no route": "GET http://10.0.0.1:8182/...: no route",
		"Unable to connect to https://bmc:443. Error: reset":       "Unable to connect to https://bmc:443. Error: reset",
		"of (https://[fe80::1]:9999/v1), and file:///etc/shadow":   "of (https://[fe80::1]:9999/...), and (URL)",
	} {
		if got := withoutSecrets(n, text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}
