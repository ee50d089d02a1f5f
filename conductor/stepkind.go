package conductor

import (
	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// stepTerms are the words by which ironic names the steps of a kind, and the flow that they make up.
type stepTerms struct {
	// title begins a sentence about a step, doing is what the flow does.
	title, doing string
	// waiting is the state in which the flow waits for its agent.
	waiting string
	// reboot, polling and skip are the flags in driver_internal_info that decide how the flow goes on.
	reboot, polling, skip string
	// logs is the label of the logs of a step that failed in the agent.
	logs string
}

var termsOf = map[drivers.StepKind]stepTerms{
	drivers.DeployStep: {title: "Deploy", doing: "deployment", waiting: store.DeployWait,
		reboot: "deployment_reboot", polling: "deployment_polling", skip: "skip_current_deploy_step"},
	drivers.CleanStep: {title: "Clean", doing: "cleaning", waiting: store.CleanWait,
		reboot: "cleaning_reboot", polling: "cleaning_polling", skip: "skip_current_clean_step", logs: "cleaning"},
	drivers.ServiceStep: {title: "Service", doing: "servicing", waiting: store.ServiceWait,
		reboot: "servicing_reboot", polling: "servicing_polling", skip: "skip_current_service_step"},
}

// stepColumn is the row's column that names the running step of a kind.
func stepColumn(n *store.Node, kind drivers.StepKind) *store.Dict {
	switch kind {
	case drivers.CleanStep:
		return &n.CleanStep
	case drivers.ServiceStep:
		return &n.ServiceStep
	}
	return &n.DeployStep
}

// runningStep is the step that the row names, of whatever flow; nil when there is none.
func runningStep(n *store.Node) store.Dict {
	for _, kind := range []drivers.StepKind{drivers.CleanStep, drivers.ServiceStep, drivers.DeployStep} {
		if step := *stepColumn(n, kind); len(step) > 0 {
			return step
		}
	}
	return nil
}

// waitingKind is the flow of a node that waits for its agent.
func waitingKind(n *store.Node) drivers.StepKind {
	for kind, terms := range termsOf {
		if n.ProvisionState == terms.waiting {
			return kind
		}
	}
	return drivers.DeployStep
}

// removeFlags takes the flags of a flow away.
func removeFlags(n *store.Node, terms stepTerms) {
	for _, flag := range []string{terms.reboot, terms.polling, terms.skip} {
		delete(n.DriverInternalInfo, flag)
	}
}

// removeStepFlags takes the flags of every flow away.
func removeStepFlags(n *store.Node) {
	for _, terms := range termsOf {
		removeFlags(n, terms)
	}
}
