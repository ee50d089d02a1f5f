package sql

import (
	"context"
	"fmt"
	"slices"

	"github.com/ironmaster/ironmaster/store"
)

func newRunbooks(db *DB) *records[store.Runbook] {
	return &records[store.Runbook]{
		rows: newRows[store.Runbook](db, "runbooks"), object: "Runbook", noun: "runbook", missing: store.RunbookNotFound,
		parts: func(b *store.Runbook) parts {
			return parts{&b.ID, &b.UUID, &b.Version, &b.CreatedAt, &b.UpdatedAt, &b.Snapshot, nil}
		},
		defaults: func(*store.Runbook) {},
		complete: func(s session, found []*store.Runbook) error { return s.completeRunbooks(found) },
		duplicate: func(columns []string, values store.Snapshot) *store.Error {
			if slices.Contains(columns, "name") {
				return store.Errorf(store.RunbookDuplicateName, "A runbook with name %v already exists.", values["name"])
			}
			return store.Errorf(store.RunbookAlreadyExists, "A runbook with UUID %v already exists.", values["uuid"])
		},
	}
}

// completeRunbooks reads the steps and traits of runbooks.
func (s session) completeRunbooks(found []*store.Runbook) error {
	ids := make([]int64, len(found))
	for i, b := range found {
		ids[i] = b.ID
	}
	steps, err := runbookSteps.read(s, ids)
	if err != nil {
		return err
	}
	var traits map[int64][]string
	if s.db.schema.HasColumn("runbook_traits", "trait") {
		if traits, err = s.traitsOf("runbook_traits", "runbook_id", ids); err != nil {
			return err
		}
	}
	for _, b := range found {
		b.Steps = append([]store.Dict{}, steps[b.ID]...)
		b.Traits = append([]string{}, slices.Sorted(slices.Values(traits[b.ID]))...)
	}
	return nil
}

// WithRunbookParts fills in the steps and traits of runbooks that were read without.
func (db *DB) WithRunbookParts(ctx context.Context, found []*store.Runbook) error {
	return db.read(ctx, "reading the parts of runbooks", func(s session) error { return s.completeRunbooks(found) })
}

// Runbook reads a runbook by UUID or decimal id.
func (db *DB) Runbook(ctx context.Context, ident string) (*store.Runbook, error) {
	return db.runbooks.read(ctx, ident)
}

// CreateRunbook inserts a runbook with its steps and traits and gives it back as it is now.
func (db *DB) CreateRunbook(ctx context.Context, b *store.Runbook) error {
	return db.runbooks.createWith(ctx, b, func(s session, id int64) error {
		if err := runbookSteps.insert(s, id, b.Steps); err != nil {
			return err
		}
		for _, trait := range slices.Compact(slices.Sorted(slices.Values(b.Traits))) {
			// Ironic gives the traits that come with a new runbook no version.
			if err := s.insertRunbookTrait(id, trait, ""); err != nil {
				return err
			}
		}
		return nil
	})
}

// SaveRunbook writes what changed in a runbook since it was read, but for its traits.
func (db *DB) SaveRunbook(ctx context.Context, b *store.Runbook) error {
	return db.runbooks.saveWith(ctx, b, "steps", func(s session) error { return runbookSteps.replace(s, b.ID, b.Steps) })
}

func (s session) insertRunbookTrait(id int64, trait, version string) error {
	value, err := s.db.fit("runbook_traits", "trait", trait)
	if err != nil {
		return err
	}
	_, err = s.exec("INSERT INTO runbook_traits (created_at, version, runbook_id, trait) VALUES (?, ?, ?, ?)", s.db.now(), nullable(version), id, value)
	return err
}

// SetRunbookTraits gives a runbook exactly these traits.
func (db *DB) SetRunbookTraits(ctx context.Context, id int64, traits []string) error {
	return db.changeRunbookTraits(ctx, id, func(s session) error {
		if _, err := s.exec("DELETE FROM runbook_traits WHERE runbook_id = ?", id); err != nil {
			return err
		}
		for _, trait := range slices.Compact(slices.Sorted(slices.Values(traits))) {
			if err := s.insertRunbookTrait(id, trait, db.version("RunbookTrait")); err != nil {
				return err
			}
		}
		return nil
	})
}

// AddRunbookTrait gives a runbook a further trait; added is false when it has it already.
func (db *DB) AddRunbookTrait(ctx context.Context, id int64, trait string) (added bool, err error) {
	err = db.changeRunbookTraits(ctx, id, func(s session) error {
		known, err := s.one("SELECT runbook_id FROM runbook_traits WHERE runbook_id = ? AND trait = ?", []any{id, trait}, new(int64))
		if err != nil || known {
			return err
		}
		added = true
		return s.insertRunbookTrait(id, trait, db.version("RunbookTrait"))
	})
	return added, err
}

// RemoveRunbookTrait takes a trait from a runbook.
func (db *DB) RemoveRunbookTrait(ctx context.Context, id int64, trait string) error {
	removed := false
	return db.changeRunbookTraits(ctx, id, func(s session) error {
		n, err := s.exec("DELETE FROM runbook_traits WHERE runbook_id = ? AND trait = ?", id, trait)
		if err != nil {
			return err
		}
		if n == 0 && !removed {
			return store.Errorf(store.RunbookTraitNotFound, "Runbook %d doesn't have a trait '%s'", id, trait)
		}
		// An attempt whose answer is lost has removed it.
		removed = true
		return nil
	})
}

// RunbookTraits reads the traits of a runbook, in alphabetical order.
func (db *DB) RunbookTraits(ctx context.Context, id int64) ([]*store.RunbookTrait, error) {
	if _, err := db.Runbook(ctx, fmt.Sprint(id)); err != nil {
		return nil, err
	}
	return SelectBy[store.RunbookTrait](ctx, db, "runbook_traits", "trait", Equals("runbook_id", id))
}

// changeRunbookTraits runs statements while the row of a runbook is locked.
func (db *DB) changeRunbookTraits(ctx context.Context, id int64, change func(s session) error) error {
	return db.transact(ctx, fmt.Sprintf("changing the traits of runbook %d", id), func(s session) error {
		found, err := s.one("SELECT id FROM runbooks WHERE id = ?"+db.dialect.forUpdate(), []any{id}, new(int64))
		if err != nil {
			return err
		}
		if !found {
			return db.runbooks.notFound(fmt.Sprint(id))
		}
		return change(s)
	})
}
