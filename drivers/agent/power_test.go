package agent

import (
	"net/http"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

// The first text is that of wire/21.4/change_node_power_state--agent-power-err.json.
func TestAgentPowerNeedsALiveAgent(t *testing.T) {
	n := deployNode()
	g := newRig(t, quick(), n)
	err := NewPower(quick()).Validate(t.Context(), g.task)
	if store.KindOf(err) != store.InvalidParameterValue ||
		err.Error() != "Fast track mode must be enabled to use the agent power interface" {
		t.Error(err)
	}
	n.DriverInfo["fast_track"] = "true"
	err = NewPower(quick()).Validate(t.Context(), g.task)
	if store.KindOf(err) != store.InvalidParameterValue ||
		err.Error() != "Agent seems offline for node n1, the agent power interface cannot be used" {
		t.Error(err)
	}
	if state, err := NewPower(quick()).PowerState(t.Context(), g.task); state != "" || err != nil {
		t.Errorf("%q, %v", state, err)
	}
	n.DriverInternalInfo["agent_url"] = "https://192.0.2.9:9999"
	n.DriverInternalInfo["agent_last_heartbeat"] = isoTime(time.Now())
	if err := NewPower(quick()).Validate(t.Context(), g.task); err != nil {
		t.Error(err)
	}
	if state, err := NewPower(quick()).PowerState(t.Context(), g.task); state != store.PowerOn || err != nil {
		t.Errorf("%q, %v", state, err)
	}
	n.DriverInfo["fast_track"] = "perhaps"
	if err := NewPower(quick()).Validate(t.Context(), g.task); store.KindOf(err) != store.InvalidParameterValue {
		t.Error(err)
	}
}

func TestAgentPowerOnlyReboots(t *testing.T) {
	a := newAgent(t, func(*http.Request, store.Dict) (int, any) { return 200, cmd("run_image", "RUNNING") })
	n := deployNode()
	a.adopt(t, n)
	g := newRig(t, quick(), n)
	p := NewPower(quick())
	err := p.SetPowerState(t.Context(), g.task, store.PowerOff, 0)
	if store.KindOf(err) != store.PowerStateFailure || err.Error() != "Failed to set node power state to power off." {
		t.Error(err)
	}
	if err := p.SetPowerState(t.Context(), g.task, store.SoftReboot, 0); err != nil {
		t.Fatal(err)
	}
	if a.posts[0].String("name") != "standby.run_image" || g.worker.saves != 1 ||
		n.DriverInternalInfo.String("agent_url") != "" || n.DriverInternalInfo.String("agent_secret_token") != "" {
		t.Errorf("sent %v, %d saves, info %v", a.posts, g.worker.saves, n.DriverInternalInfo)
	}
}
