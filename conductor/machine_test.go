package conductor

import (
	"os"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

// TestMachineAgreesWithIronic asks the machine every pair of a state and an event and holds the answer against that of
// ironic's own machine, recorded in testdata. A stable state drops its target unless a worker goes on from it, which is
// TaskManager's doing and not in the recording.
func TestMachineAgreesWithIronic(t *testing.T) {
	m := newMachine(messaging.V2023_1)
	text, err := os.ReadFile("testdata/machine-21.4.txt")
	if err != nil {
		t.Fatal(err)
	}
	pairs := 0
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(strings.TrimSpace(line), " | ")
		state, event, want, target := f[0], f[1], f[2], strings.TrimPrefix(f[3], "-")
		pairs++
		got, err := m.Step(moment{State: state}, eventRequest{Event: event, Background: true})
		switch {
		case want == "invalid":
			if store.KindOf(err) != store.InvalidState {
				t.Errorf("%s + %s went to %q, want InvalidState", state, event, got.State)
			}
		case err != nil:
			t.Errorf("%s + %s: %v", state, event, err)
		case got.State != want || got.Target != target:
			t.Errorf("%s + %s went to %q with target %q, want %q with %q", state, event, got.State, got.Target, want, target)
		}
	}
	if pairs != 360 {
		t.Fatalf("%d pairs were read, want 360", pairs)
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

func TestLaterReleasesKnowMoreEvents(t *testing.T) {
	for _, c := range []struct {
		state, event string
		since        messaging.Release
	}{
		{store.Deploying, eventHold, messaging.V2025_1}, {store.Active, eventService, messaging.V2025_1},
		{store.DeployWait, eventAbort, messaging.Newest},
	} {
		for _, release := range []messaging.Release{messaging.V2023_1, messaging.V2025_1, messaging.Newest} {
			if got, want := newMachine(release).Allows(c.state, c.event), release >= c.since; got != want {
				t.Errorf("release %s: %s in %q allowed: %v, want %v", release, c.event, c.state, got, want)
			}
		}
	}
}
