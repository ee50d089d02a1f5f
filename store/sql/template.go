package sql

import (
	"context"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

func newTemplates(db *DB) *records[store.DeployTemplate] {
	return &records[store.DeployTemplate]{
		rows: newRows[store.DeployTemplate](db, "deploy_templates"), object: "DeployTemplate", noun: "deploy template",
		missing: store.DeployTemplateNotFound,
		parts: func(t *store.DeployTemplate) parts {
			return parts{&t.ID, &t.UUID, &t.Version, &t.CreatedAt, &t.UpdatedAt, &t.Snapshot, nil}
		},
		defaults: func(*store.DeployTemplate) {},
		complete: func(s session, found []*store.DeployTemplate) error {
			ids := make([]int64, len(found))
			for i, t := range found {
				ids[i] = t.ID
			}
			steps, err := templateSteps.read(s, ids)
			for _, t := range found {
				t.Steps = append([]store.Dict{}, steps[t.ID]...)
			}
			return err
		},
		duplicate: func(columns []string, values store.Snapshot) *store.Error {
			if slices.Contains(columns, "name") {
				return store.Errorf(store.DeployTemplateDuplicateName, "A deploy template with name %v already exists.", values["name"])
			}
			return store.Errorf(store.DeployTemplateAlreadyExists, "A deploy template with UUID %v already exists.", values["uuid"])
		},
	}
}

// DeployTemplates reads the deploy templates of the names given, with their steps, ordered by name. A name without a
// template is no error: most traits have none.
func (db *DB) DeployTemplates(ctx context.Context, names []string) ([]*store.DeployTemplate, error) {
	var c conditions
	c.in("deploy_templates.name", names)
	if len(c.clauses) == 0 {
		return nil, nil
	}
	found, err := db.templates.selectWhere(ctx, c.clauses[0], c.args...)
	slices.SortFunc(found, func(a, b *store.DeployTemplate) int { return strings.Compare(a.Name, b.Name) })
	return found, err
}

// WithTemplateSteps fills in the steps of deploy templates that were read without.
func (db *DB) WithTemplateSteps(ctx context.Context, found []*store.DeployTemplate) error {
	return db.read(ctx, "reading the steps of deploy templates", func(s session) error { return db.templates.complete(s, found) })
}

// DeployTemplate reads a deploy template by UUID or decimal id.
func (db *DB) DeployTemplate(ctx context.Context, ident string) (*store.DeployTemplate, error) {
	return db.templates.read(ctx, ident)
}

// CreateDeployTemplate inserts a deploy template with its steps and gives it back as it is now.
func (db *DB) CreateDeployTemplate(ctx context.Context, t *store.DeployTemplate) error {
	return db.templates.createWith(ctx, t, func(s session, id int64) error { return templateSteps.insert(s, id, t.Steps) })
}

// SaveDeployTemplate writes what changed in a deploy template since it was read.
func (db *DB) SaveDeployTemplate(ctx context.Context, t *store.DeployTemplate) error {
	return db.templates.saveWith(ctx, t, "steps", func(s session) error { return templateSteps.replace(s, t.ID, t.Steps) })
}
