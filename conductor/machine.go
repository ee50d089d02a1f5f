package conductor

import (
	"fmt"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

// Events of the provision state machine (ironic/common/states.py).
const (
	eventManage   = "manage"
	eventProvide  = "provide"
	eventClean    = "clean"
	eventInspect  = "inspect"
	eventAdopt    = "adopt"
	eventDeploy   = "deploy"
	eventRebuild  = "rebuild"
	eventDelete   = "delete"
	eventRescue   = "rescue"
	eventUnrescue = "unrescue"
	eventService  = "service"
	eventDone     = "done"
	eventFail     = "fail"
	eventWait     = "wait"
	eventResume   = "resume"
	eventHold     = "hold"
	eventUnhold   = "unhold"
	eventAbort    = "abort"
)

// moment is where a node stands in the provision state machine.
type moment struct {
	State, Target string
}

// eventRequest is an event with what its sender adds to it.
type eventRequest struct {
	Event string
	// Target overrides the target that the new state has by itself; it must be a stable state. "" asks for none.
	Target string
	// Background tells that a worker goes on from the new state: a stable state then keeps its target.
	Background bool
}

// transition is what an event does: the new moment, and its effects outside the machine.
type transition struct {
	moment
	// Status is the last part of the provision_set notification's event type: start, end, success or error.
	Status string
	// ClearsError tells that last_error is wiped because new work begins.
	ClearsError bool
}

// machine is the provision state machine of one release: a pure table (reference/states.md §2).
type machine struct {
	edges map[string]map[string]string
}

// edge is one row of the table.
type edge struct{ from, event, to string }

// edges2023 is the machine of ironic 21.4.
var edges2023 = []edge{
	{store.Enroll, eventManage, store.Verifying},
	{store.Verifying, eventDone, store.Manageable},
	{store.Verifying, eventFail, store.Enroll},
	{store.Manageable, eventProvide, store.Cleaning},
	{store.Manageable, eventClean, store.Cleaning},
	{store.Manageable, eventInspect, store.Inspecting},
	{store.Manageable, eventAdopt, store.Adopting},
	{store.Available, eventDeploy, store.Deploying},
	{store.Available, eventManage, store.Manageable},
	{store.Deploying, eventDone, store.Active},
	{store.Deploying, eventWait, store.DeployWait},
	{store.Deploying, eventFail, store.DeployFail},
	{store.DeployWait, eventResume, store.Deploying},
	{store.DeployWait, eventFail, store.DeployFail},
	{store.DeployWait, eventDelete, store.Deleting},
	{store.DeployFail, eventDeploy, store.Deploying},
	{store.DeployFail, eventRebuild, store.Deploying},
	{store.DeployFail, eventDelete, store.Deleting},
	{store.Active, eventRebuild, store.Deploying},
	{store.Active, eventDelete, store.Deleting},
	{store.Active, eventRescue, store.Rescuing},
	{store.Deleting, eventClean, store.Cleaning},
	{store.Deleting, eventFail, store.ErrorState},
	{store.ErrorState, eventRebuild, store.Deploying},
	{store.ErrorState, eventDelete, store.Deleting},
	{store.Cleaning, eventDone, store.Available},
	{store.Cleaning, eventManage, store.Manageable},
	{store.Cleaning, eventWait, store.CleanWait},
	{store.Cleaning, eventFail, store.CleanFail},
	{store.CleanWait, eventResume, store.Cleaning},
	{store.CleanWait, eventFail, store.CleanFail},
	{store.CleanWait, eventAbort, store.CleanFail},
	{store.CleanFail, eventManage, store.Manageable},
	{store.Inspecting, eventDone, store.Manageable},
	{store.Inspecting, eventWait, store.InspectWait},
	{store.Inspecting, eventFail, store.InspectFail},
	{store.InspectWait, eventDone, store.Manageable},
	{store.InspectWait, eventFail, store.InspectFail},
	{store.InspectWait, eventAbort, store.InspectFail},
	{store.InspectFail, eventManage, store.Manageable},
	{store.InspectFail, eventInspect, store.Inspecting},
	{store.Adopting, eventDone, store.Active},
	{store.Adopting, eventFail, store.AdoptFail},
	{store.AdoptFail, eventAdopt, store.Adopting},
	{store.AdoptFail, eventManage, store.Manageable},
	{store.Rescuing, eventDone, store.Rescue},
	{store.Rescuing, eventWait, store.RescueWait},
	{store.Rescuing, eventFail, store.RescueFail},
	{store.RescueWait, eventResume, store.Rescuing},
	{store.RescueWait, eventFail, store.RescueFail},
	{store.RescueWait, eventAbort, store.RescueFail},
	{store.RescueWait, eventDelete, store.Deleting},
	{store.Rescue, eventRescue, store.Rescuing},
	{store.Rescue, eventUnrescue, store.Unrescuing},
	{store.Rescue, eventDelete, store.Deleting},
	{store.RescueFail, eventRescue, store.Rescuing},
	{store.RescueFail, eventUnrescue, store.Unrescuing},
	{store.RescueFail, eventDelete, store.Deleting},
	{store.Unrescuing, eventDone, store.Active},
	{store.Unrescuing, eventFail, store.UnrescueFail},
	{store.UnrescueFail, eventRescue, store.Rescuing},
	{store.UnrescueFail, eventUnrescue, store.Unrescuing},
	{store.UnrescueFail, eventDelete, store.Deleting},
}

// edgesHolds is what 22.1 added: holds, and inspections whose ramdisk tells the conductor what it found.
var edgesHolds = []edge{
	{store.Deploying, eventHold, store.DeployHold},
	{store.DeployWait, eventHold, store.DeployHold},
	{store.DeployHold, eventUnhold, store.DeployWait},
	{store.DeployHold, eventAbort, store.DeployFail},
	{store.Cleaning, eventHold, store.CleanHold},
	{store.CleanWait, eventHold, store.CleanHold},
	{store.CleanHold, eventUnhold, store.CleanWait},
	{store.CleanHold, eventAbort, store.CleanFail},
	{store.InspectWait, eventResume, store.Inspecting},
}

// edgesServicing is what 23.0 added.
var edgesServicing = []edge{
	{store.Active, eventService, store.Servicing},
	{store.Servicing, eventDone, store.Active},
	{store.Servicing, eventWait, store.ServiceWait},
	{store.Servicing, eventFail, store.ServiceFail},
	{store.Servicing, eventHold, store.ServiceHold},
	{store.ServiceWait, eventResume, store.Servicing},
	{store.ServiceWait, eventFail, store.ServiceFail},
	{store.ServiceWait, eventAbort, store.ServiceFail},
	{store.ServiceWait, eventHold, store.ServiceHold},
	{store.ServiceHold, eventUnhold, store.ServiceWait},
	{store.ServiceHold, eventService, store.Servicing},
	{store.ServiceHold, eventAbort, store.ServiceFail},
	{store.ServiceFail, eventService, store.Servicing},
	{store.ServiceFail, eventRescue, store.Rescuing},
}

// edges2025 is what 29.0 added, and its stable releases: instances can be deleted whose servicing failed or waits.
var edges2025 = []edge{
	{store.ServiceWait, eventDelete, store.Deleting},
	{store.ServiceFail, eventDelete, store.Deleting},
}

// edgesNewest is what came after 29.0.
var edgesNewest = []edge{
	{store.DeployWait, eventAbort, store.DeployFail},
	{store.ServiceHold, eventFail, store.ServiceFail},
	{store.ServiceFail, eventWait, store.ServiceWait},
	{store.ServiceFail, eventHold, store.ServiceHold},
	{store.ServiceFail, eventAbort, store.Active},
}

// defaultTargets are the targets that unstable, failed and hold states have by themselves.
var defaultTargets = map[string]string{
	store.Verifying: store.Manageable, store.Deploying: store.Active, store.DeployWait: store.Active,
	store.DeployFail: store.Active, store.DeployHold: store.Active, store.Deleting: store.Available,
	store.Cleaning: store.Available, store.CleanWait: store.Available, store.CleanFail: store.Available,
	store.CleanHold: store.Available, store.Inspecting: store.Manageable, store.InspectWait: store.Manageable,
	store.InspectFail: store.Manageable, store.Adopting: store.Active, store.AdoptFail: store.Active,
	store.Rescuing: store.Rescue, store.RescueWait: store.Rescue, store.RescueFail: store.Rescue,
	store.Unrescuing: store.Active, store.UnrescueFail: store.Active, store.Servicing: store.Active,
	store.ServiceWait: store.Active, store.ServiceFail: store.Active, store.ServiceHold: store.Active,
}

// newMachine returns the machine of a release.
func newMachine(release messaging.Release) machine {
	m := machine{edges: map[string]map[string]string{}}
	m.add(edges2023)
	for _, later := range []struct {
		since messaging.Release
		edges []edge
	}{{messaging.V22_1, edgesHolds}, {messaging.V2023_2, edgesServicing}, {messaging.V2025_1, edges2025}, {messaging.V2025_1 + 1, edgesNewest}} {
		if release >= later.since {
			m.add(later.edges)
		}
	}
	return m
}

func (m machine) add(edges []edge) {
	for _, e := range edges {
		if m.edges[e.from] == nil {
			m.edges[e.from] = map[string]string{}
		}
		m.edges[e.from][e.event] = e.to
	}
}

// Knows returns an InvalidState error for a state that the release does not have, as a newer one may have left a node in it.
func (m machine) Knows(state string) error {
	if state != "" && m.edges[state] == nil {
		return store.Errorf(store.InvalidState, "Can not start from a undefined state '%s'", state)
	}
	return nil
}

// Allows reports whether the event may happen in the state.
func (m machine) Allows(state, event string) bool {
	_, ok := m.edges[state][event]
	return ok
}

// Step works out what an event does. An event that the state does not know is an InvalidState error.
func (m machine) Step(from moment, r eventRequest) (transition, error) {
	to, ok := m.edges[from.State][r.Event]
	if !ok {
		return transition{}, store.Errorf(store.InvalidState,
			"Can not transition from state '%s' on event '%s' (no defined transition)", from.State, r.Event)
	}
	if r.Target != "" && !store.Stable(r.Target) {
		return transition{}, fmt.Errorf("target state %q of event %s is not a stable state", r.Target, r.Event)
	}
	t := transition{moment: moment{State: to, Target: m.target(from, to, r)}, ClearsError: r.Background}
	t.Status = status(from.State, to, r.Event)
	return t, nil
}

// target follows FSM.process_event and TaskManager.process_event: the old target is dropped when it was reached, a
// state's own target comes next, an explicit one wins, and a stable state has none unless a worker goes on from it.
func (m machine) target(from moment, to string, r eventRequest) string {
	if !r.Background && store.Stable(to) {
		return ""
	}
	target := from.Target
	if target == "" {
		target = defaultTargets[from.State]
	}
	if target == to {
		target = ""
	}
	if t, ok := defaultTargets[to]; ok {
		target = t
	}
	if r.Target != "" {
		target = r.Target
	}
	return target
}

func status(from, to, event string) string {
	switch {
	case event == eventFail || event == "error":
		return "error"
	case !store.Unstable(from) && store.Unstable(to):
		return "start"
	case store.Unstable(from) && !store.Unstable(to):
		return "end"
	}
	return "success"
}
