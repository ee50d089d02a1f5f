package sql_test

import (
	stdsql "database/sql"
	"encoding/json"
	"testing"

	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/store"
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

// TestDeployTemplatesAreWritten creates and changes a template: steps that stay keep their rows, and a refusal changes nothing.
func TestDeployTemplatesAreWritten(t *testing.T) {
	beside(t, func(t *testing.T, db *sql.DB, raw *stdsql.DB, _ engine) {
		step := func(iface string, priority int) store.Dict {
			return store.Dict{"interface": iface, "step": "reset", "args": map[string]any{"a": json.Number("1")}, "priority": priority}
		}
		template := &store.DeployTemplate{UUID: uuid.NewString(), Name: "CUSTOM_A", Steps: []store.Dict{step("bios", 1), step("raid", 2)}}
		other := &store.DeployTemplate{UUID: uuid.NewString(), Name: "CUSTOM_B", Steps: []store.Dict{step("bios", 9)}}
		for _, one := range []*store.DeployTemplate{template, other} {
			if err := db.CreateDeployTemplate(t.Context(), one); err != nil {
				t.Fatal(err)
			}
		}
		again := &store.DeployTemplate{UUID: uuid.NewString(), Name: "CUSTOM_A", Steps: []store.Dict{step("bios", 1)}}
		if err := db.CreateDeployTemplate(t.Context(), again); store.KindOf(err) != store.DeployTemplateDuplicateName {
			t.Errorf("a second CUSTOM_A: %v", err)
		}
		kept := query[int64](t, raw, "SELECT id FROM deploy_template_steps WHERE interface = 'raid'")
		template.Steps = []store.Dict{step("raid", 2), step("raid", 3)}
		if err := db.SaveDeployTemplate(t.Context(), template); err != nil {
			t.Fatal(err)
		}
		if id := query[int64](t, raw, "SELECT id FROM deploy_template_steps WHERE interface = 'raid' AND priority = 2"); id != kept {
			t.Errorf("the step that stays is row %d, was %d", id, kept)
		}
		template.Name, template.Steps = "CUSTOM_B", nil
		if err := db.SaveDeployTemplate(t.Context(), template); store.KindOf(err) != store.DeployTemplateDuplicateName {
			t.Errorf("renamed to one that is there: %v", err)
		}
		read, err := db.DeployTemplate(t.Context(), template.UUID)
		if err != nil || read.Name != "CUSTOM_A" || len(read.Steps) != 2 || read.Steps[1].String("priority") != "3" {
			t.Errorf("read %+v, %v", read, err)
		}
	})
}
