package sql_test

import (
	stdsql "database/sql"
	"testing"

	"github.com/ironmaster/ironmaster/store/sql"
)

func TestDeployTemplates(t *testing.T) {
	beside(t, func(t *testing.T, db *sql.DB, raw *stdsql.DB, e engine) {
		for _, statement := range []string{
			"INSERT INTO deploy_templates (id, uuid, name) VALUES (1, 'u1', 'CUSTOM_RAID'), (2, 'u2', 'CUSTOM_EMPTY'), (3, 'u3', 'CUSTOM_X')",
			"INSERT INTO deploy_template_steps (deploy_template_id, interface, step, args, priority) VALUES " +
				`(1, 'raid', 'apply_configuration', '{"level": 5}', 90)`,
			"INSERT INTO deploy_template_steps (deploy_template_id, interface, step, args, priority) VALUES " +
				`(1, 'bios', 'reset', '{}', 80), (3, 'bios', 'reset', '{}', 80)`,
		} {
			if _, err := raw.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		got, err := db.DeployTemplates(t.Context(), []string{"CUSTOM_RAID", "CUSTOM_EMPTY", "CUSTOM_NONE"})
		if err != nil || len(got) != 2 || got[0].Name != "CUSTOM_EMPTY" || len(got[0].Steps) != 0 || got[1].Name != "CUSTOM_RAID" {
			t.Fatalf("%+v, %v", got, err)
		}
		first, second := got[1].Steps[0], got[1].Steps[1]
		level, _, levelErr := first.Dict("args").Int("level")
		priority, _, err := first.Int("priority")
		if levelErr != nil || level != 5 || err != nil || priority != 90 || first.String("interface") != "raid" ||
			first.String("step") != "apply_configuration" || second.String("interface") != "bios" {
			t.Errorf("steps %+v", got[1].Steps)
		}
		if none, err := db.DeployTemplates(t.Context(), nil); err != nil || none != nil {
			t.Errorf("for no names: %v, %v", none, err)
		}
	})
}
