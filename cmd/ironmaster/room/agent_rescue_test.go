package room

import (
	"crypto/tls"
	"strings"
	"testing"
)

func TestRescueIsFinalized(t *testing.T) {
	m := openRoom(t, Config{}).Machines()[0]
	ironic := newFakeIronic(t, m)
	bootAgent(t, m, ironic.bootISO())
	agent := ironic.agent()
	for name, params := range map[string]map[string]any{
		"nothing": {}, "no text": {"rescue_password": 7, "hashed": true}, "no boolean": {"rescue_password": "x", "hashed": "perhaps"},
		"no hash": {"rescue_password": "open sesame"},
	} {
		if got, _ := agent.command(true, "rescue.finalize_rescue", params); got.Status != commandFailedNow {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if m.Snapshot().RescuePassword != "" {
		t.Error("a refused password is set")
	}
	got, _ := agent.command(true, "rescue.finalize_rescue", map[string]any{"rescue_password": "$5$salt$hash", "hashed": true})
	if got.Status != commandSucceeded || m.Snapshot().RescuePassword != "$5$salt$hash" {
		t.Errorf("it answers %+v, the password is %q", got, m.Snapshot().RescuePassword)
	}
	agent.http.CloseIdleConnections()
	eventually(t, "an agent that answers nobody", func() bool {
		connection, err := tls.Dial("tcp", strings.TrimPrefix(agent.url, "https://"), &tls.Config{InsecureSkipVerify: true})
		if err == nil {
			connection.Close()
		}
		return err != nil
	})
	if got := m.Snapshot(); got.Booted != BootAgent || !got.Powered {
		t.Errorf("the machine runs %q, power %v", got.Booted, got.Powered)
	}
}

func TestServiceSteps(t *testing.T) {
	m := openRoom(t, Config{}).Machines()[0]
	ironic := newFakeIronic(t, m)
	bootAgent(t, m, ironic.bootISO())
	agent := ironic.agent()
	listed, _ := agent.command(true, "service.get_service_steps", map[string]any{})
	if listed.Status != commandSucceeded {
		t.Fatalf("listing: %+v", listed)
	}
	for step, want := range map[string]string{"burnin_cpu": commandSucceeded, "erase_devices": commandFailedNow} {
		started, _ := agent.command(false, "service.execute_service_step", map[string]any{
			"step": map[string]any{"interface": "deploy", "step": step}, "service_version": hardwareManager})
		if got := agent.finished(started.ID); got.Status != want {
			t.Errorf("%s: %+v", step, got)
		}
	}
	if got := m.Snapshot().Begun["burnin_cpu"]; got != 1 {
		t.Errorf("burnin_cpu was begun %d times", got)
	}
}
