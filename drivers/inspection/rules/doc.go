// Package rules applies inspection rules: what users want done with a node when its findings fulfil conditions
// (ironic/common/inspection_rules). Rules are data of users, and what they look at is data of ramdisks: both are foreign.
package rules

import (
	"context"
	"net/http"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// PhaseMain is the one phase that there is: after the hooks.
const PhaseMain = "main"

// The values of [inspection_rules]mask_secrets.
const (
	MaskAlways    = "always"
	MaskNever     = "never"
	MaskSensitive = "sensitive"
)

// Store is where rules are, and what they change beside the node's own row.
type Store interface {
	// InspectionRules are those of a phase, oldest first.
	InspectionRules(ctx context.Context, phase string) ([]*store.InspectionRule, error)
	AddTrait(ctx context.Context, n *store.Node, trait string) error
	// RemoveTrait fails with NodeTraitNotFound when the node has no such trait.
	RemoveTrait(ctx context.Context, n *store.Node, trait string) error
}

// Config says how rules are applied.
type Config struct {
	// BuiltIn are the operator's own, which are applied after those of users with the same priority.
	BuiltIn []*store.InspectionRule
	// MaskSecrets says which rules see no passwords: MaskAlways, MaskNever, or MaskSensitive for all but sensitive ones.
	MaskSecrets string
	// HTTP makes the calls of the action api-call; nil refuses them, as before 31.0.
	HTTP *http.Client
	// EmptyMissing takes what is not there for empty in is-empty, as since 34.0; ValuesFormatted fills in the values of comparisons,
	// as since 39.0.
	EmptyMissing, ValuesFormatted bool
}

// Engine applies rules.
type Engine struct {
	cfg  Config
	keep Store
}

// NewEngine returns an engine. It reads rules when it applies them.
func NewEngine(cfg Config, keep Store) *Engine { return &Engine{cfg: cfg, keep: keep} }

// failure is ironic's HardwareInspectionFailure with the whole of its text.
func failure(format string, args ...any) error {
	return store.Errorf(store.HardwareInspectionFailure, format, args...)
}

// actionFailed and conditionFailed are ironic's RuleActionExecutionFailure and RuleConditionCheckFailure.
func actionFailed(format string, args ...any) error {
	return failure("Inspection rule action execution failed. Reason: "+format, args...)
}

func conditionFailed(format string, args ...any) error {
	return failure("Inspection rule condition check failed. Reason: "+format, args...)
}

// run is one rule at work on one node.
type run struct {
	*drivers.Task
	engine    *Engine
	inventory value
	plugin    value
	ports     []*store.Port
	// item is what a loop is at, nil outside of loops.
	item *value
}
