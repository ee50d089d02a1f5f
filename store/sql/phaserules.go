package sql

import (
	"context"

	"github.com/ironmaster/ironmaster/store"
)

// InspectionRules reads the inspection rules of a phase, oldest first.
func (db *DB) InspectionRules(ctx context.Context, phase string) ([]*store.InspectionRule, error) {
	return Select[store.InspectionRule](ctx, db, "inspection_rules",
		Selection{Where: []Condition{Equals("inspection_rules.phase", phase)}})
}
