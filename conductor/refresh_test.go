package conductor

import (
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

// What the hardware tells of itself is read around cleanings and servicings as the release does: not at all, before, or also after.
func TestHardwareIsReadAroundSteps(t *testing.T) {
	for _, c := range []struct {
		flow    string
		release messaging.Release
		reads   int
	}{
		{"clean", messaging.V2023_1, 0}, {"clean", messaging.V2023_2, 0}, {"clean", messaging.V2024_1, 1}, {"clean", messaging.V2025_1, 2},
		{"service", messaging.V2023_2, 0}, {"service", messaging.V2024_2, 0}, {"service", messaging.V2025_1, 2},
	} {
		t.Run(c.flow+" "+c.release.String(), func(t *testing.T) {
			w := startWorker(t, func(cfg *Config) { cfg.Release = c.release })
			modes := make(chan string, 9)
			one := []drivers.Step{step("one", 10, drivers.Done, nil)}
			w.script.use(behaviour{steps: map[drivers.StepKind][]drivers.Step{drivers.CleanStep: one, drivers.ServiceStep: one},
				bootMode: func() (string, error) { modes <- "uefi"; return "uefi", nil }})
			n := w.enroll(t, func(n *store.Node) {
				n.ProvisionState = store.Manageable
				if c.flow == "service" {
					n.ProvisionState = store.Active
				}
			})
			settled := store.Available
			if c.flow == "service" {
				settled = store.Active
				w.must(t, "do_node_service", map[string]any{"node_id": n.UUID, "service_steps": asked("one")})
			} else {
				w.must(t, "do_provisioning_action", map[string]any{"node_id": n.UUID, "action": "provide"})
			}
			w.unlocked(t)
			want := ""
			if c.reads > 0 {
				want = "uefi"
			}
			equal(t, "boot mode", w.settled(t, n.UUID, settled).BootMode, want)
			equal(t, "reads", len(modes), c.reads)
		})
	}
}
