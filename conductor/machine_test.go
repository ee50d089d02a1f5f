package conductor

import (
	"os"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

// TestMachineAgreesWithIronic asks the machine of each release every pair of a state and an event, from a node with each target,
// and holds the answer against that of ironic's own machine, recorded in testdata by machine.py. A stable state drops its target
// unless a worker goes on from it, which is TaskManager's doing and not in the recording.
func TestMachineAgreesWithIronic(t *testing.T) {
	for _, c := range []struct {
		release messaging.Release
		name    string
		pairs   int
	}{{messaging.V2023_1, "21.4", 24 * 15}, {messaging.V2025_1, "29.0", 30 * 18}, {messaging.Newest, "39.0", 30 * 18}} {
		t.Run(c.name, func(t *testing.T) {
			text, err := os.ReadFile("testdata/machine-" + c.name + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			m := newMachine(c.release)
			pairs := 0
			for line := range strings.Lines(string(text)) {
				if strings.HasPrefix(line, "#") {
					continue
				}
				pairs++
				f := strings.Split(strings.TrimSpace(line), " | ")
				if f[2] == "invalid" {
					checkRefusal(t, m, f[0], f[1], f[3])
					continue
				}
				checkTransition(t, m, f[0], eventRequest{Event: f[1]}, f[2], f[3])
				checkTransition(t, m, f[0], eventRequest{Event: f[1], Target: store.Manageable}, f[2], f[4])
			}
			if pairs != c.pairs {
				t.Errorf("%d pairs were read, want %d", pairs, c.pairs)
			}
		})
	}
}

// Releases between those that were recorded have what came until then (git log -S of ironic/common/states.py).
func TestMachineOfReleasesInBetween(t *testing.T) {
	for _, c := range []struct {
		state, event string
		since        messaging.Release
	}{
		{store.InspectWait, eventResume, messaging.V22_1}, {store.CleanWait, eventHold, messaging.V22_1},
		{store.DeployHold, eventUnhold, messaging.V22_1}, {store.Active, eventService, messaging.V2023_2},
		{store.ServiceWait, eventResume, messaging.V2023_2}, {store.ServiceFail, eventRescue, messaging.V2023_2},
		{store.ServiceFail, eventDelete, messaging.V2025_1}, {store.DeployWait, eventAbort, messaging.V30_0},
	} {
		for _, release := range []messaging.Release{messaging.V2023_1, messaging.V22_0, messaging.V22_1, messaging.V2023_2, messaging.V2024_1,
			messaging.V2024_2, messaging.V2025_1, messaging.V30_0, messaging.Newest} {
			if allowed := newMachine(release).Allows(c.state, c.event); allowed != (release >= c.since) {
				t.Errorf("%s + %s on %s: allowed %t", c.state, c.event, release, allowed)
			}
		}
	}
}

func checkRefusal(t *testing.T, m machine, state, event, want string) {
	t.Helper()
	got, err := m.Step(moment{State: state}, eventRequest{Event: event})
	if store.KindOf(err) != store.InvalidState || err.Error() != want {
		t.Errorf("%s + %s went to %q with error %v, want InvalidState: %s", state, event, got.State, err, want)
	}
	if m.Allows(state, event) {
		t.Errorf("%s + %s is allowed", state, event)
	}
}

// checkTransition tries an event on nodes with no target, active, available, manageable and rescue, with and without a worker
// that goes on from the new state.
func checkTransition(t *testing.T, m machine, state string, r eventRequest, want, targets string) {
	t.Helper()
	if !m.Allows(state, r.Event) {
		t.Errorf("%s + %s is not allowed", state, r.Event)
	}
	starts := []string{"", store.Active, store.Available, store.Manageable, store.Rescue}
	wanted := strings.Split(targets, ", ")
	if len(wanted) != len(starts) {
		t.Fatalf("%s + %s: %d targets are recorded, want %d", state, r.Event, len(wanted), len(starts))
	}
	for i, start := range starts {
		for _, background := range []bool{true, false} {
			r.Background = background
			target := strings.TrimPrefix(wanted[i], "-")
			if !background && store.Stable(want) {
				target = ""
			}
			got, err := m.Step(moment{State: state, Target: start}, r)
			if err != nil || got.State != want || got.Target != target {
				t.Errorf("%s with target %q + %+v went to %q with target %q and error %v, want %q with %q",
					state, start, r, got.State, got.Target, err, want, target)
			}
		}
	}
}

func TestTransitionTargetsAndStatus(t *testing.T) {
	m := newMachine(messaging.V2023_1)
	for _, c := range []struct {
		name   string
		from   moment
		r      eventRequest
		to     moment
		status string
	}{
		{"a deployment begins", moment{store.Available, ""}, eventRequest{Event: eventDeploy, Background: true},
			moment{store.Deploying, store.Active}, "start"},
		{"and waits", moment{store.Deploying, store.Active}, eventRequest{Event: eventWait},
			moment{store.DeployWait, store.Active}, "success"},
		{"and ends", moment{store.Deploying, store.Active}, eventRequest{Event: eventDone}, moment{store.Active, ""}, "end"},
		{"and fails", moment{store.Deploying, store.Active}, eventRequest{Event: eventFail},
			moment{store.DeployFail, store.Active}, "error"},
		{"a manual cleaning is known by its target", moment{store.Manageable, ""},
			eventRequest{Event: eventClean, Target: store.Manageable, Background: true},
			moment{store.Cleaning, store.Manageable}, "start"},
		{"which it keeps when it waits", moment{store.Cleaning, store.Manageable},
			eventRequest{Event: eventWait, Target: store.Manageable}, moment{store.CleanWait, store.Manageable}, "success"},
		{"and ends manageable", moment{store.Cleaning, store.Manageable}, eventRequest{Event: eventManage},
			moment{store.Manageable, ""}, "end"},
		{"an automated cleaning that fails wants to be available", moment{store.Cleaning, store.Available},
			eventRequest{Event: eventFail}, moment{store.CleanFail, store.Available}, "error"},
		{"from stable to stable", moment{store.Available, ""}, eventRequest{Event: eventManage}, moment{store.Manageable, ""}, "success"},
	} {
		got, err := m.Step(c.from, c.r)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got.moment != c.to || got.Status != c.status {
			t.Errorf("%s: %v with status %q, want %v with %q", c.name, got.moment, got.Status, c.to, c.status)
		}
	}
	if _, err := m.Step(moment{State: store.Manageable}, eventRequest{Event: eventClean, Target: store.Cleaning}); err == nil {
		t.Error("an unstable target state was accepted")
	}
}
