package conductor

import (
	"slices"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

// disallows tells that the operator lets nothing run a step ([api]disallow_clean_steps and its kin). Ironic has them since 37.0, and
// since the security updates of the releases from 29.0 on (CVE-2026-54423).
func (c *Conductor) disallows(kind drivers.StepKind, step store.Dict) bool {
	return c.cfg.Release >= messaging.V2025_1 && slices.Contains(c.live().DisallowedSteps[kind], stepID(step))
}

// refuseDisallowed refuses a request for steps of which one is not allowed. ironic-api does so, too, but is not asked by everybody. fault
// is how Python fails to read what was sent in the place of steps, which it does here where any step is not allowed.
func (c *Conductor) refuseDisallowed(kind drivers.StepKind, steps []store.Dict, fault error) error {
	if c.cfg.Release < messaging.V2025_1 || len(c.live().DisallowedSteps[kind]) == 0 {
		return nil
	}
	if fault != nil {
		return fault
	}
	for _, step := range steps {
		for _, key := range []string{"interface", "step"} {
			if _, given := step[key]; !given {
				return oslo.KeyError(key)
			}
		}
		if c.disallows(kind, step) {
			return store.Errorf(store.StepNotAllowed, "%s step '%s' is not allowed. Disallowed by operator configuration "+
				"[api]disallow_%s_steps.", kind, stepID(step), kind)
		}
	}
	return nil
}

// allowed leaves out the steps that are not allowed, wherever they come from: the drivers, a runbook or a deploy template.
func (c *Conductor) allowed(kind drivers.StepKind, steps []store.Dict) []store.Dict {
	return slices.DeleteFunc(steps, func(step store.Dict) bool { return c.disallows(kind, step) })
}
