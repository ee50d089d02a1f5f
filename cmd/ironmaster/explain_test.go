package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/conductor"
	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/store/local"
)

func TestExplanationReadsWell(t *testing.T) {
	now := time.Date(2026, 1, 3, 0, 1, 0, 0, time.UTC)
	at := func(before time.Duration) time.Time { return now.Add(-before) }
	x := conductor.Explanation{Conductor: "worker-1", Owner: "worker-1", Running: true,
		Node: conductor.NodeView{UUID: nodeOne, Name: "machine-7", Driver: "redfish", ProvisionState: "wait call-back",
			TargetState: "active", Since: at(80 * time.Second), PowerState: "power on", Step: "deploy.write_image (2 of 6)",
			LastHeartbeat: at(12 * time.Second), Maintenance: true, MaintenanceText: "a new disk"},
		Reason: conductor.Reason{WaitsFor: "its agent to end step deploy.write_image (2 of 6)",
			Because: "the agent is at it and was heard 12 s ago", Try: "nothing: the agent's next heartbeat brings it on"},
		Timeline: []local.Moment{
			{At: at(2 * time.Hour), Kind: "state", Text: "long ago", Count: 1},
			{At: at(90 * time.Second), Kind: "request", Text: "do_node_deploy", Result: "taken req-1", Count: 1},
			{At: at(80 * time.Second), Kind: "bmc", Text: "POST /redfish/v1/Systems/1/Actions", Result: "HTTP 503", Failed: true, Count: 1},
			{At: at(50 * time.Second), Kind: "heartbeat", Text: "taken", Count: 23, Last: at(12 * time.Second)},
		}}
	want := `node             machine-7 (` + nodeOne + `)  redfish
provision state  wait call-back, on its way to active, since 2026-01-02 23:59:40 UTC (1 min 20 s ago)
power state      power on
step             deploy.write_image (2 of 6)
conductor        worker-1
last heartbeat   2026-01-03 00:00:48 UTC (12 s ago)
maintenance      a new disk

(1 earlier moment: --all)
2026-01-02 UTC
23:59:30   1 min 30 s ago  request    do_node_deploy: taken req-1
23:59:40   1 min 20 s ago  bmc        FAILED POST /redfish/v1/Systems/1/Actions: HTTP 503
2026-01-03 UTC
00:00:10         50 s ago  heartbeat  taken (23 times, the last 12 s ago)

It waits for its agent to end step deploy.write_image (2 of 6); likely because the agent is at it and was heard 12 s ago.
Try: nothing: the agent's next heartbeat brings it on.
`
	var out strings.Builder
	if err := printExplanation(&out, x, 3, now); err != nil || out.String() != want {
		t.Errorf("%v, printed\n%s\nwant\n%s", err, out.String(), want)
	}
	out.Reset()
	x.Timeline, x.Reason = nil, conductor.Reason{Because: `it is "active", where nobody has to act`}
	if err := printExplanation(&out, x, 3, now); err != nil ||
		!strings.HasSuffix(out.String(), "\nConductor worker-1 remembers nothing of this node.\n\nIt waits for nothing: it is \"active\", where nobody has to act.\n") {
		t.Errorf("%v, printed\n%s", err, out.String())
	}
}

func TestARunningConductorExplains(t *testing.T) {
	for name, c := range map[string]struct {
		status    int
		body, err string
	}{
		"explains":          {http.StatusOK, `{"running": true, "reason": {"rule": "step"}}`, ""},
		"knows no such":     {http.StatusNotFound, `{"error": "Node machine-8 could not be found."}`, "Node machine-8 could not be found."},
		"is of other times": {http.StatusNotFound, "404 page not found", "is no conductor's [ironmaster]admin_listen"},
	} {
		s := &config.Settings{Ironmaster: config.Ironmaster{AdminListen: operators(t, c.status, c.body)}}
		x, err := findExplanation(t.Context(), nil, s, "machine-8")
		if c.err == "" && (err != nil || x.Reason.Rule != "step") || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %+v, %v", name, x, err)
		}
	}
}
