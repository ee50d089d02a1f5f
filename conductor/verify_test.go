package conductor

import (
	"errors"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

func TestVerify(t *testing.T) {
	w := startWorker(t, nil)
	broken := errors.New("no route to host")
	for _, c := range []struct {
		name   string
		acts   behaviour
		state  string
		error  string // after "... node UUID. Error: "
		power  string
		events []string
	}{
		{name: "well", acts: behaviour{powerState: func() (string, error) { return store.PowerOff, nil },
			vendor: func() (string, error) { return "acme", nil }}, state: store.Manageable, power: store.PowerOff,
			events: []string{"provision_set.start", "provision_set.end", "power_state_corrected.success"}},
		{name: "settings that don't do", acts: behaviour{powerValidate: func() error { return broken }}, state: store.Enroll,
			error:  "Failed to validate power driver interface for node %s. Error: no route to host",
			events: []string{"provision_set.start", "provision_set.error"}},
		{name: "a BMC that is dead", acts: behaviour{powerState: func() (string, error) { return "", broken }},
			state: store.Enroll, error: "Failed to get power state for node %s. Error: no route to host",
			events: []string{"provision_set.start", "provision_set.error"}},
		{name: "a verify step that fails", acts: behaviour{steps: map[drivers.StepKind][]drivers.Step{
			drivers.VerifyStep: {step("look", 10, drivers.Done, broken), step("off", 0, drivers.Done, errors.New("disabled"))}}},
			state:  store.Enroll,
			error:  "Node %s failed verify step look with unexpected error: no route to host",
			events: []string{"provision_set.start", "provision_set.error"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := w.enroll(t, nil)
			w.script.use(c.acts)
			w.must(t, "do_provisioning_action", map[string]any{"node_id": n.UUID, "action": "manage"})
			got := w.settled(t, n.UUID, c.state)
			equal(t, "last error", got.LastError, withNode(c.error, n.UUID))
			equal(t, "power state", got.PowerState, c.power)
			equal(t, "target", got.TargetProvisionState, "")
			w.announced(t, n.UUID, c.events...)
			if _, marked := got.DriverInternalInfo[keyEpoch]; marked {
				t.Error("the epoch is left")
			}
		})
	}
}
