package conductor

import (
	"errors"
	"slices"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// TestInstancesAreServedUntilItWorks fails to serve one of two instances again: the next run tries that one, and the one after it none.
func TestInstancesAreServedUntilItWorks(t *testing.T) {
	w := startWorker(t, nil)
	waitUntil(t, "the start has listed its instances", func() bool {
		w.unserved.mu.Lock()
		defer w.unserved.mu.Unlock()
		return w.unserved.listed
	})
	active := func(n *store.Node) { n.ProvisionState, n.ConductorAffinity = store.Active, &w.conductorID }
	first, second, gone := w.enroll(t, active), w.enroll(t, active), w.enroll(t, nil)
	w.unserved.mu.Lock()
	w.unserved.listed, w.unserved.nodes = true, []*store.Node{first, second, gone}
	w.unserved.mu.Unlock()
	for run, want := range [][]string{{first.UUID, second.UUID}, {second.UUID}, nil} {
		served := make(chan string, 9)
		w.script.use(behaviour{takeOver: func(task *drivers.Task) error {
			served <- task.Node.UUID
			if run == 0 && task.Node.UUID == second.UUID {
				return errors.New("no image server")
			}
			return nil
		}})
		if err := w.serveInstances(t.Context()); err != nil {
			t.Fatal(err)
		}
		close(served)
		var got []string
		for uuid := range served {
			got = append(got, uuid)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("run %d served %q, want %q", run, got, want)
		}
	}
}
