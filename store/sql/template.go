package sql

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/ironmaster/ironmaster/store"
)

// WithSteps fills in the steps of deploy templates that were read without.
func (db *DB) WithSteps(ctx context.Context, templates []*store.DeployTemplate) error {
	names := make([]string, len(templates))
	for i, t := range templates {
		names[i] = t.Name
	}
	whole, err := db.DeployTemplates(ctx, names)
	if err != nil {
		return err
	}
	for _, t := range templates {
		for _, w := range whole {
			if w.Name == t.Name {
				t.Steps = w.Steps
			}
		}
	}
	return nil
}

// DeployTemplates reads the deploy templates of the names given, with their steps, ordered by name. A name without a
// template is no error: most traits have none.
func (db *DB) DeployTemplates(ctx context.Context, names []string) ([]store.DeployTemplate, error) {
	var c conditions
	c.in("t.name", names)
	if len(c.clauses) == 0 {
		return nil, nil
	}
	var templates []store.DeployTemplate
	err := db.read(ctx, "reading deploy templates", func(s session) error {
		templates = nil
		return s.query("SELECT t.name, s.interface, s.step, s.args, s.priority FROM deploy_templates t "+
			"LEFT JOIN deploy_template_steps s ON s.deploy_template_id = t.id WHERE "+c.clauses[0]+" ORDER BY t.name, s.id", c.args,
			func(rows *sql.Rows) error {
				var name string
				var iface, step, args sql.NullString
				var priority sql.NullInt64
				if err := rows.Scan(&name, &iface, &step, &args, &priority); err != nil {
					return err
				}
				if n := len(templates); n == 0 || templates[n-1].Name != name {
					templates = append(templates, store.DeployTemplate{Name: name})
				}
				if !step.Valid {
					return nil
				}
				parsed, err := store.ParseDict([]byte(args.String))
				if err != nil {
					return fmt.Errorf("deploy template %s, step %s: %w", name, step.String, err)
				}
				last := &templates[len(templates)-1]
				last.Steps = append(last.Steps, store.TemplateStep{
					Interface: iface.String, Step: step.String, Args: parsed, Priority: int(priority.Int64),
				})
				return nil
			})
	})
	return templates, err
}
