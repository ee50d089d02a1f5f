package conductor

import (
	"errors"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// A flow that waits is gone on with by whoever gets its next heartbeat, whoever began it.
func TestWhoGoesOnWithAFlow(t *testing.T) {
	r := newRig(t, nil)
	earlier := idleOn(t, r)
	epoch := int64(earlier.local.Epoch())
	earlier.closeMemory()
	w := r.start(t)
	now := int64(w.local.Epoch())
	for _, c := range []struct {
		name string
		mark any
	}{
		{"its own", store.Dict{"host": "worker-1", "number": now}},
		{"an earlier run's", store.Dict{"host": "worker-1", "number": epoch}},
		// Its number is from before the file was lost, when the clock was ahead. Ghosts are known by the registration.
		{"an earlier run's with a larger number", store.Dict{"host": "Worker-1", "number": now + 1}},
		{"another host's, whatever its number", store.Dict{"host": "worker-2", "number": now + 1}},
		{"a Python conductor's", nil},
		{"a mark that is none", "hello"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.script.use(behaviour{steps: cleanSteps(), status: func() (drivers.StepStatus, error) {
				return drivers.StepStatus{State: drivers.StepSucceeded}, nil
			}})
			n := w.waiting(t, store.CleanWait, func(n *store.Node) {
				n.TargetProvisionState, n.CleanStep = store.Available, store.Dict{"interface": "deploy", "step": "erase"}
				n.DriverInternalInfo["clean_steps"] = []any{map[string]any{"interface": "deploy", "step": "erase"}}
				n.DriverInternalInfo["clean_step_index"] = 0
				if c.mark != nil {
					n.DriverInternalInfo[keyEpoch] = c.mark
				}
			})
			w.must(t, "heartbeat", beatArgs(n))
			w.unlocked(t)
			w.settled(t, n.UUID, store.Available)
		})
	}
}

func TestTheEpochLastsAsLongAsTheFlow(t *testing.T) {
	w := idle(t, nil)
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Available })
	held := w.lock(t, n.UUID, lockMode{purpose: "a test"})
	for _, s := range []struct {
		event  string
		marked bool
	}{{eventDeploy, true}, {eventWait, true}, {eventResume, true}, {eventFail, false}, {eventDelete, true}, {eventClean, true},
		{eventDone, false}} {
		if err := held.processEvent(t.Context(), s.event, eventOptions{}); err != nil {
			t.Fatal(err)
		}
		_, marked := w.row(t, n.UUID).DriverInternalInfo[keyEpoch]
		equal(t, "marked after "+s.event, marked, s.marked)
	}
	if err := errors.Join(held.release(t.Context())); err != nil {
		t.Fatal(err)
	}
}
