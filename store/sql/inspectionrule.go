package sql

import (
	"context"

	"github.com/ironmaster/ironmaster/store"
)

func newInspectionRules(db *DB) *records[store.InspectionRule] {
	return &records[store.InspectionRule]{
		rows: newRows[store.InspectionRule](db, "inspection_rules"), object: "InspectionRule", noun: "rule",
		missing: store.InspectionRuleNotFound,
		parts: func(r *store.InspectionRule) parts {
			return parts{&r.ID, &r.UUID, &r.Version, &r.CreatedAt, &r.UpdatedAt, &r.Snapshot, nil}
		},
		defaults: func(r *store.InspectionRule) {
			if r.Phase == nil {
				r.Phase = new("main")
			}
		},
		duplicate: func(_ []string, values store.Snapshot) *store.Error {
			return store.Errorf(store.InspectionRuleAlreadyExists, "A rule with UUID %v already exists.", values["uuid"])
		},
	}
}

// InspectionRule reads an inspection rule by UUID or decimal id.
func (db *DB) InspectionRule(ctx context.Context, ident string) (*store.InspectionRule, error) {
	return db.inspectionRules.read(ctx, ident)
}

// CreateInspectionRule inserts an inspection rule and gives it back as the row is now.
func (db *DB) CreateInspectionRule(ctx context.Context, r *store.InspectionRule) error {
	return db.inspectionRules.create(ctx, r)
}

// SaveInspectionRule writes what changed in an inspection rule since it was read.
func (db *DB) SaveInspectionRule(ctx context.Context, r *store.InspectionRule) error {
	return db.inspectionRules.save(ctx, r)
}
