package conductor

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/fake"
	"github.com/ironmaster/ironmaster/store"
)

// polledRAID is a BMC that changes arrays for as long as the row says so.
type polledRAID struct {
	*fake.RAID
	poll  func(*store.Node) (bool, error)
	begun atomic.Int32
}

func (r *polledRAID) Steps(drivers.StepKind) []drivers.Step {
	return []drivers.Step{{Interface: drivers.TypeRAID, Name: "create_configuration",
		Run: func(context.Context, *drivers.Task, store.Dict) (drivers.Outcome, error) {
			r.begun.Add(1)
			return drivers.Done, nil
		}}}
}

func (r *polledRAID) UnderWay(n *store.Node) bool {
	return n.DriverInternalInfo.Bool("raid_busy", false)
}

func (r *polledRAID) Poll(_ context.Context, t *drivers.Task) (bool, error) {
	done, err := r.poll(t.Node)
	if done {
		delete(t.Node.DriverInternalInfo, "raid_busy")
		t.Node.RAIDConfig = store.Dict{"made": true}
	}
	return done, err
}

func (r *polledRAID) Discard(_ context.Context, t *drivers.Task) error {
	delete(t.Node.DriverInternalInfo, "raid_busy")
	return nil
}

// busyCleaning waits for its BMC in the only step of a cleaning.
func busyCleaning(n *store.Node) {
	n.CleanStep = store.Dict{"interface": "raid", "step": "create_configuration"}
	info := n.DriverInternalInfo
	info["clean_steps"], info["clean_step_index"] = []any{map[string]any{"interface": "raid", "step": "create_configuration"}}, 0
	info["raid_busy"], info["cleaning_polling"], info["skip_current_clean_step"] = true, true, true
	n.TargetProvisionState = store.Available
}

func pollingWorker(t *testing.T) (*worker, *polledRAID) {
	t.Helper()
	raid := &polledRAID{RAID: fake.NewRAID()}
	w := startWorker(t, nil)
	w.hardware.Catalog.Implementations[drivers.TypeRAID]["fake"] = raid
	return w, raid
}

func TestAStepAtTheBMCIsAskedUntilItIsDone(t *testing.T) {
	w, raid := pollingWorker(t)
	n := w.waiting(t, store.CleanWait, busyCleaning)
	raid.poll = func(*store.Node) (bool, error) { return false, nil }
	poll := func() {
		t.Helper()
		if err := w.pollSteps(drivers.TypeRAID)(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.unlocked(t)
	}
	poll()
	raid.poll = func(*store.Node) (bool, error) { return false, errors.New("no answer") }
	poll()
	if got := w.row(t, n.UUID); got.ProvisionState != store.CleanWait || !got.DriverInternalInfo.Bool("raid_busy", false) {
		t.Fatalf("%s, %v", got.ProvisionState, got.DriverInternalInfo)
	}
	raid.poll = func(*store.Node) (bool, error) { return true, nil }
	poll()
	got := w.settled(t, n.UUID, store.Available)
	if !got.RAIDConfig.Bool("made", false) || got.DriverInternalInfo["raid_busy"] != nil || got.DriverInternalInfo["cleaning_polling"] != nil {
		t.Errorf("raid_config %v, info %v", got.RAIDConfig, got.DriverInternalInfo)
	}
}

func TestAStepThatFailedAtTheBMCEndsTheFlow(t *testing.T) {
	w, raid := pollingWorker(t)
	n := w.waiting(t, store.CleanWait, busyCleaning)
	raid.poll = func(*store.Node) (bool, error) { return false, &drivers.StepFailure{Text: "a disk is bad"} }
	if err := w.pollSteps(drivers.TypeRAID)(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.unlocked(t)
	got := w.settled(t, n.UUID, store.CleanFail)
	equal(t, "last_error", got.LastError, "a disk is bad")
	if err := w.discardSteps(drivers.TypeRAID)(t.Context()); err != nil {
		t.Fatal(err)
	}
	if info := w.row(t, n.UUID).DriverInternalInfo; info["raid_busy"] != nil {
		t.Errorf("not discarded: %v", info)
	}
}

// A machine whose BMC is at work is not rebooted by a worker that comes back.
func TestAStepAtTheBMCSurvivesItsWorker(t *testing.T) {
	w, _ := pollingWorker(t)
	n := w.waiting(t, store.CleanWait, busyCleaning)
	if err := w.awaitAgain(t.Context(), w.row(t, n.UUID)); err != nil {
		t.Fatal(err)
	}
	w.unlocked(t)
	if did := w.script.did("agent.reboot"); len(did) != 0 {
		t.Errorf("did %q", did)
	}
}

// The BMC was done and the flow had moved on when its worker died, before the next step began.
func TestAStepThatIsOverAtTheBMCIsNotBegunAnew(t *testing.T) {
	for kind, c := range map[drivers.StepKind]struct{ state, end string }{
		drivers.CleanStep:  {store.Cleaning, store.Available},
		drivers.DeployStep: {store.Deploying, store.Active},
	} {
		t.Run(string(kind), func(t *testing.T) {
			w, raid := pollingWorker(t)
			n := w.waiting(t, c.state, func(n *store.Node) {
				n.TargetProvisionState = c.end
				step := store.Dict{"interface": "raid", "step": "create_configuration"}
				*stepColumn(n, kind) = step
				info, terms := n.DriverInternalInfo, termsOf[kind]
				info[string(kind)+"_steps"], info[string(kind)+"_step_index"] = []any{map[string]any(step)}, 0
				info[terms.polling], info[terms.skip], info["steps_validated"] = true, true, true
				info[keyEpoch] = store.Dict{markHost: w.cfg.Host, markNumber: 1, markStep: w.cfg.Host + "/1"}
			})
			if err := w.resumeNode(t.Context(), w.row(t, n.UUID)); err != nil {
				t.Fatal(err)
			}
			got := w.settled(t, n.UUID, c.end)
			if begun := raid.begun.Load(); begun != 0 || got.DriverInternalInfo[termsOf[kind].polling] != nil {
				t.Errorf("the step was begun %d times, info %v", begun, got.DriverInternalInfo)
			}
		})
	}
}

// The next step is the agent's, which had to boot while its worker was away: the machine boots anew, when its BMC is done.
func TestAMachineBootsAnewWhenItsBMCIsDone(t *testing.T) {
	for _, c := range []struct {
		name  string
		then  func(*store.Node)
		boots int
	}{
		{"not heard of", func(*store.Node) {}, 1},
		{"heard of", func(n *store.Node) { n.DriverInternalInfo[keyAgentURL] = "http://192.0.2.1" }, 0},
		{"switched again", func(n *store.Node) { n.DriverInternalInfo[keyPowerChanged] = "2026-11-26T06:00:00.000000" }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, raid := pollingWorker(t)
			w.script.use(behaviour{steps: map[drivers.StepKind][]drivers.Step{drivers.CleanStep: {{Interface: drivers.TypeDeploy, Name: "erase",
				Run: func(context.Context, *drivers.Task, store.Dict) (drivers.Outcome, error) {
					return drivers.Done, store.Errorf(store.AgentConnectionFailed, "nobody answers")
				}}}}})
			n := w.waiting(t, store.CleanWait, func(n *store.Node) {
				busyCleaning(n)
				n.DriverInternalInfo["clean_steps"] = append(n.DriverInternalInfo.List("clean_steps"),
					map[string]any{"interface": "deploy", "step": "erase"})
				n.DriverInternalInfo["cleaning_reboot"], n.DriverInternalInfo[keyPowerChanged] = true, "2026-11-26T05:00:00.000000"
			})
			if err := w.awaitAgain(t.Context(), w.row(t, n.UUID)); err != nil {
				t.Fatal(err)
			}
			w.unlocked(t)
			equal(t, "reboots at first", len(w.script.did("agent.reboot")), 0)
			held := w.lock(t, n.UUID, lockMode{purpose: "a test"})
			c.then(held.Node)
			if err := errors.Join(held.save(t.Context()), held.release(t.Context())); err != nil {
				t.Fatal(err)
			}
			raid.poll = func(*store.Node) (bool, error) { return true, nil }
			if err := w.pollSteps(drivers.TypeRAID)(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.settled(t, n.UUID, store.CleanWait)
			equal(t, "step", stepID(w.row(t, n.UUID).CleanStep), "deploy.erase")
			equal(t, "reboots", len(w.script.did("agent.reboot")), c.boots)
		})
	}
}

func TestAStepsResultIsNoted(t *testing.T) {
	w := startWorker(t, nil)
	for name, c := range map[string]struct {
		err   error
		state string
		text  string
	}{
		"well": {nil, store.Available, ""},
		"ill": {store.Errorf(store.IronicException, "no result"), store.CleanFail, "For node %s, post clean step hook _made failed for " +
			"clean step {'interface': 'deploy', 'step': 'make'}.IronicException: no result"},
	} {
		made := drivers.Step{Interface: drivers.TypeDeploy, Name: "make", InBand: true, Finish: &drivers.Finish{Name: "_made",
			Run: func(_ context.Context, x *drivers.Task, result store.Dict) error {
				x.Node.RAIDConfig = result
				return c.err
			}}}
		w.script.use(behaviour{steps: map[drivers.StepKind][]drivers.Step{drivers.CleanStep: {made}},
			status: func() (drivers.StepStatus, error) {
				return drivers.StepStatus{State: drivers.StepSucceeded, Result: store.Dict{"arrays": "two"}}, nil
			}})
		n := w.waiting(t, store.CleanWait, func(n *store.Node) {
			busyCleaning(n)
			n.CleanStep = store.Dict{"interface": "deploy", "step": "make"}
			delete(n.DriverInternalInfo, "cleaning_polling")
			delete(n.DriverInternalInfo, "raid_busy")
		})
		w.must(t, "heartbeat", beatArgs(n))
		w.unlocked(t)
		got := w.settled(t, n.UUID, c.state)
		if want := c.text; want != "" {
			equal(t, name, got.LastError, "For node "+n.UUID+want[len("For node %s"):])
		} else if got.RAIDConfig.String("arrays") != "two" {
			t.Errorf("%s: %v", name, got.RAIDConfig)
		}
	}
}
