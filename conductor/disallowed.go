package conductor

import (
	"slices"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

// disallows tells that the operator lets nothing run a step ([api]disallow_clean_steps and its kin). Ironic has them since 37.0, and
// since the security updates of the releases from 29.0 on (CVE-2026-54423).
func (c *Conductor) disallows(kind drivers.StepKind, step store.Dict) bool {
	return c.cfg.Release >= messaging.V2025_1 && slices.Contains(c.live().DisallowedSteps[kind], stepID(step))
}

// refuseDisallowed refuses a request for steps of which one is not allowed. ironic-api does so, too, but is not asked by everybody.
func (c *Conductor) refuseDisallowed(kind drivers.StepKind, steps []store.Dict) error {
	for _, step := range steps {
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
