package conductor

import (
	"slices"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

func TestMachinesThatAreNotHeardOfBootAgain(t *testing.T) {
	w := startWorker(t, func(c *Config) { c.BootRetryTimeout = time.Minute })
	old := func(d time.Duration) string { return w.now().UTC().Add(-d).Format(isoMicro) }
	for _, c := range []struct {
		name, state string
		change      func(*store.Node)
		want        bool
	}{
		{name: "deploying", state: store.DeployWait, want: true},
		{name: "cleaning", state: store.CleanWait, want: true},
		{name: "rescuing", state: store.RescueWait, want: true},
		{name: "at rest", state: store.Available},
		{name: "in maintenance", state: store.DeployWait, change: func(n *store.Node) { n.Maintenance = true }},
		{name: "its agent has a token", state: store.DeployWait, change: func(n *store.Node) { n.DriverInternalInfo[keyAgentToken] = "x" }},
		{name: "its agent was heard", state: store.DeployWait, change: func(n *store.Node) { n.DriverInternalInfo[keyAgentHeartbeat] = old(time.Second) }},
		{name: "just switched on", state: store.DeployWait,
			change: func(n *store.Node) { n.DriverInternalInfo["last_power_state_change"] = old(time.Second) }},
		{name: "just begun", state: store.DeployWait, change: func(n *store.Node) { n.ProvisionUpdatedAt = w.now() }},
		{name: "not from the network", state: store.DeployWait, change: func(n *store.Node) { n.BootInterface = "fake" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.script.use(behaviour{})
			n := w.enroll(t, func(n *store.Node) {
				n.ProvisionState, n.PowerState, n.BootInterface = c.state, store.PowerOn, "retrying"
				n.ProvisionUpdatedAt = w.now().Add(-time.Hour)
				n.DriverInternalInfo = store.Dict{"last_power_state_change": old(time.Hour)}
				if c.change != nil {
					c.change(n)
				}
			})
			if err := w.retryBoots(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.unlocked(t)
			if did := slices.Contains(w.script.did(), "boot again "+n.UUID); did != c.want {
				t.Errorf("booted again: %v", did)
			}
		})
	}
}
