package conductor

import (
	"encoding/json"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

func TestStepsAreShownInTheOrderOfTheRequest(t *testing.T) {
	var asked requestedSteps
	err := json.Unmarshal([]byte(`[{"args": {"b": 1, "a": 2}, "step": "wash", "interface": "deploy"}, {"step": "rinse"}, {"step": "dry", "interface": "raid"}]`), &asked)
	if err != nil || len(asked.list) != 3 || asked.fault != nil {
		t.Fatalf("%v, %v", asked.list, err)
	}
	offered := []store.Dict{{"interface": "raid", "step": "dry", "requires_ramdisk": true}}
	const want = "node does not support this clean step: {'args': {'b': 1, 'a': 2}, 'step': 'wash', 'interface': 'deploy'}; " +
		"clean step {'step': 'dry', 'interface': 'raid'} requires booting a ramdisk"
	_, err = checkUserSteps([]store.Dict{asked.list[0], asked.list[2]}, offered, stepRules{
		kind: drivers.CleanStep, withoutRamdisk: true, wording: asked.wording})
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	// A step that fails is shown with what was added to it.
	steps, err := checkUserSteps(asked.list[2:], offered, stepRules{kind: drivers.CleanStep, wording: asked.wording})
	if err != nil {
		t.Fatal(err)
	}
	const failed = "{'step': 'dry', 'interface': 'raid', 'abortable': False, 'priority': 0}"
	if got := asked.wording.of(steps[0]); got != failed {
		t.Errorf("the step that runs is shown as %s, want %s", got, failed)
	}
	// Whoever goes on with the flow later has the steps alone.
	_, err = checkUserSteps(asked.list[2:], offered, stepRules{kind: drivers.CleanStep, withoutRamdisk: true})
	if err == nil || err.Error() != "clean step {'interface': 'raid', 'step': 'dry'} requires booting a ramdisk" {
		t.Errorf("without the request: %v", err)
	}
	if err := json.Unmarshal([]byte(`[7]`), &asked); err != nil || asked.fault == nil {
		t.Error("a number was taken for a step")
	}
	if err := json.Unmarshal([]byte(`null`), &asked); err != nil || asked.list != nil {
		t.Errorf("null gave %v, %v", asked.list, err)
	}
}
