package conductor

import (
	"context"
	"slices"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

// withoutErase is a worker whose operator allows no step deploy.erase. ran tells which steps ran.
func withoutErase(t *testing.T, release messaging.Release) (w *worker, ran chan string) {
	t.Helper()
	ran = make(chan string, 9)
	none := []string{"deploy.erase"}
	w = startWorker(t, func(c *Config) {
		c.Release = release
		c.DisallowedSteps = map[drivers.StepKind][]string{drivers.CleanStep: none, drivers.DeployStep: none, drivers.ServiceStep: none}
	})
	steps := map[drivers.StepKind][]drivers.Step{}
	for _, kind := range []drivers.StepKind{drivers.CleanStep, drivers.DeployStep, drivers.ServiceStep} {
		for i, name := range []string{"erase", "tune"} {
			steps[kind] = append(steps[kind], drivers.Step{Interface: drivers.TypeDeploy, Name: name, Priority: 20 - i,
				Run: func(context.Context, *drivers.Task, store.Dict) (drivers.Outcome, error) {
					ran <- string(kind) + " " + name
					return drivers.Done, nil
				}})
		}
	}
	w.script.use(behaviour{steps: steps})
	return w, ran
}

func drained(ran chan string) (names []string) {
	for len(ran) > 0 {
		names = append(names, <-ran)
	}
	return names
}

// Steps of the drivers that the operator does not allow are left out, since 29.0.
func TestDisallowedStepsAreLeftOut(t *testing.T) {
	for _, c := range []struct {
		release messaging.Release
		ran     []string
	}{
		{messaging.V28_0, []string{"clean erase", "clean tune", "deploy erase", "deploy tune"}},
		{messaging.V2025_1, []string{"clean tune", "deploy tune"}},
		{messaging.Newest, []string{"clean tune", "deploy tune"}},
	} {
		w, ran := withoutErase(t, c.release)
		n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Manageable })
		w.must(t, "do_provisioning_action", map[string]any{"node_id": n.UUID, "action": "provide"})
		w.settled(t, n.UUID, store.Available)
		w.must(t, "do_node_deploy", map[string]any{"node_id": n.UUID, "rebuild": false, "configdrive": nil})
		w.settled(t, n.UUID, store.Active)
		if got := drained(ran); !slices.Equal(got, c.ran) {
			t.Errorf("on %s ran %q, want %q", c.release, got, c.ran)
		}
	}
}

// A request for a step that is not allowed is refused, and its node stays as it is.
func TestDisallowedStepsAreRefused(t *testing.T) {
	w, ran := withoutErase(t, messaging.V2025_1)
	steps := []any{store.Dict{"interface": "deploy", "step": "tune", "args": store.Dict{}, "priority": 1},
		store.Dict{"interface": "deploy", "step": "erase", "args": store.Dict{}, "priority": 1}}
	for _, c := range []struct{ method, kind, state string }{
		{"do_node_clean", "clean", store.Manageable}, {"do_node_service", "service", store.Active}, {"do_node_deploy", "deploy", store.Available},
	} {
		n := w.enroll(t, func(n *store.Node) { n.ProvisionState = c.state })
		args := map[string]any{"node_id": n.UUID, c.kind + "_steps": steps}
		if c.kind == "deploy" {
			args["rebuild"], args["configdrive"] = false, nil
		}
		equal(t, c.method, w.refused(t, store.StepNotAllowed, c.method, args),
			c.kind+" step 'deploy.erase' is not allowed. Disallowed by operator configuration [api]disallow_"+c.kind+"_steps.")
		got := w.settled(t, n.UUID, c.state)
		equal(t, c.method+": steps", got.DriverInternalInfo[c.kind+"_steps"], any(nil))
	}
	equal(t, "ran", len(drained(ran)), 0)
}

// Where steps are not allowed, what are no steps at all is refused at once, in Python's words.
func TestOddStepsAreRefusedWhereAnyIsDisallowed(t *testing.T) {
	for _, release := range []messaging.Release{messaging.V28_0, messaging.V2025_1} {
		w, _ := withoutErase(t, release)
		for _, c := range []struct {
			steps       any
			class, text string
		}{
			{"ab", "TypeError", "string indices must be integers, not 'str'"},
			{5, "TypeError", "'int' object is not iterable"},
			{[]any{nil}, "TypeError", "'NoneType' object is not subscriptable"},
			{[]any{store.Dict{"step": "tune"}}, "KeyError", "'interface'"},
			{[]any{store.Dict{"interface": "deploy"}}, "KeyError", "'step'"},
		} {
			n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Manageable })
			f := w.call(t, "do_node_clean", map[string]any{"node_id": n.UUID, "clean_steps": c.steps}).Failure
			if release < messaging.V2025_1 {
				if f != nil {
					t.Errorf("%v on %s: %v", c.steps, release, f)
				}
				w.settled(t, n.UUID, store.CleanFail)
				continue
			}
			if f == nil || f.Class != c.class || f.Message != c.text {
				t.Errorf("%v on %s: %+v, want %s: %s", c.steps, release, f, c.class, c.text)
			}
			equal(t, "state", w.row(t, n.UUID).ProvisionState, store.Manageable)
		}
		// null is no list, and looked at by nobody before the work begins.
		n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Manageable })
		w.must(t, "do_node_clean", map[string]any{"node_id": n.UUID, "clean_steps": nil})
		w.settled(t, n.UUID, store.CleanFail)
	}
}
