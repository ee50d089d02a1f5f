package conductor

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

// nova is a Compute that remembers what it was told.
type nova struct {
	mu   sync.Mutex
	told []string
	err  error
}

func (n *nova) PowerUpdate(_ context.Context, server, power, _ string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.told = append(n.told, server+" "+power)
	return n.err
}

func (n *nova) heard() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.told)
}

func TestNovaIsToldOfPowerStates(t *testing.T) {
	const instance = "6817d0ab-bb5c-516f-b9c3-dbc072bbc98a"
	reads := func(state string) behaviour {
		return behaviour{powerState: func() (string, error) { return state, nil }}
	}
	for _, c := range []struct {
		name     string
		instance string
		recorded string
		acts     behaviour
		act      func(t *testing.T, w *worker, uuid string)
		err      error
		want     []string
	}{
		{name: "a power action", instance: instance, recorded: "power off", act: switchOn, want: []string{instance + " power on"}},
		{name: "a power action that Nova does not hear of", instance: instance, recorded: "power off", act: switchOn,
			err: errors.New("nova is away"), want: []string{instance + " power on"}},
		{name: "a power action without an instance", recorded: "power off", act: switchOn},
		{name: "a power state that was found", instance: instance, recorded: "power on", acts: reads("power off"), act: syncOnce,
			want: []string{instance + " power off"}},
		{name: "a power state as it should be", instance: instance, recorded: "power on", acts: reads("power on"), act: syncOnce},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := startWorker(t, func(c *Config) { c.ForcePowerStateDuringSync = false })
			compute := &nova{err: c.err}
			w.compute = compute
			n := w.enroll(t, func(n *store.Node) {
				n.ProvisionState, n.PowerState, n.InstanceUUID = store.Active, c.recorded, c.instance
			})
			w.script.bmc(n.UUID, c.recorded)
			w.script.use(c.acts)
			c.act(t, w, n.UUID)
			if got := compute.heard(); !slices.Equal(got, c.want) {
				t.Errorf("Nova heard %v, want %v", got, c.want)
			}
		})
	}
}

func switchOn(t *testing.T, w *worker, uuid string) {
	t.Helper()
	w.must(t, "change_node_power_state", map[string]any{"node_id": uuid, "new_state": "power on", "timeout": nil})
	equal(t, "power state", w.settled(t, uuid, store.Active).PowerState, "power on")
}

func syncOnce(t *testing.T, w *worker, _ string) {
	t.Helper()
	w.syncPower(t)
}
