package conductor

import (
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
	"github.com/ironmaster/ironmaster/store/sql/sqltest"
)

var clockSteps = []time.Duration{3 * time.Hour, -3 * time.Hour}

// steppable is a worker whose rows are stamped by the clock that a test sets, and its peers' by another.
func steppable(t *testing.T, change func(*Config)) (w *worker, others *sql.DB) {
	t.Helper()
	r := newRig(t, change)
	others = r.db
	r.db = sqltest.OpenAt(t, r.url, func(cfg *sql.Config) { cfg.Now = r.clock.now })
	return r.start(t), others
}

// A worker whose clock was set tells peers that live from peers that are gone by whether their rows change.
func TestASetClockTakesNothingFromPeers(t *testing.T) {
	for _, step := range clockSteps {
		t.Run(step.String(), func(t *testing.T) {
			w, others := steppable(t, nil)
			for _, host := range []string{"alive", "dead"} {
				if _, err := others.Register(t.Context(), &store.Conductor{Hostname: host}, nil); err != nil {
					t.Fatal(err)
				}
			}
			w.clock.step(step)
			for range 3 {
				gone, err := w.goneConductors(t.Context())
				if err != nil || len(gone) != 0 {
					t.Fatalf("gone: %v, %v", gone, err)
				}
				w.clock.forward(25 * time.Second)
				if err := others.Touch(t.Context(), "alive", true); err != nil {
					t.Fatal(err)
				}
			}
			gone, err := w.goneConductors(t.Context())
			if _, dead := gone["dead"]; err != nil || len(gone) != 1 || !dead {
				t.Errorf("gone: %v, %v; want dead alone", gone, err)
			}
		})
	}
}

// Nobody's wait for an agent ends because a clock was set.
func TestASetClockEndsNoWait(t *testing.T) {
	w, others := steppable(t, func(c *Config) { c.DeployCallbackTimeout, c.CleanCallbackTimeout = time.Hour, time.Hour })
	waiting := map[string]string{}
	for _, state := range []string{store.DeployWait, store.CleanWait} {
		n := w.enroll(t, func(n *store.Node) { n.ProvisionState, n.TargetProvisionState = state, store.Available })
		if err := others.TouchProvisioning(t.Context(), n.ID); err != nil {
			t.Fatal(err)
		}
		waiting[n.UUID] = state
	}
	for _, step := range []time.Duration{3 * time.Hour, -6 * time.Hour} {
		w.clock.step(step)
		for _, look := range []error{w.failSilentDeploys(t.Context()), w.failSilentCleans(t.Context())} {
			if look != nil {
				t.Fatal(look)
			}
		}
		for node, state := range waiting {
			equal(t, "provision state", w.row(t, node).ProvisionState, state)
		}
	}
}

// Requests run once, locks and events stay, and a restart finds itself the later one, whatever the clock says.
func TestASetClockLosesNothingOfTheStateFile(t *testing.T) {
	for _, step := range clockSteps {
		t.Run(step.String(), func(t *testing.T) {
			w, _ := steppable(t, nil)
			n := w.available(t, nil)
			held := w.lock(t, n.UUID, lockMode{purpose: "a test"})
			w.clock.step(step)
			if err := w.renew(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := held.save(t.Context()); err != nil {
				t.Errorf("the holder can't write: %v", err)
			}
			if err := held.release(t.Context()); err != nil {
				t.Error(err)
			}
			w.must(t, "do_node_deploy", map[string]any{"node_id": n.UUID, "rebuild": false})
			w.settled(t, n.UUID, store.Active)
		})
	}
}
