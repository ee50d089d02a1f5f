package sql

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/ironmaster/ironmaster/store"
)

// stepTable holds the steps of deploy templates or of runbooks, each a row that refers to what it belongs to.
type stepTable struct {
	// owner is the column that refers, number the one by which steps are ordered when they are run.
	table, owner, number string
}

var (
	templateSteps = stepTable{"deploy_template_steps", "deploy_template_id", "priority"}
	runbookSteps  = stepTable{"runbook_steps", "runbook_id", "order"}
)

// read returns the steps of each owner, in the order in which they were written.
func (t stepTable) read(s session, owners []int64) (map[int64][]store.Dict, error) {
	steps := map[int64][]store.Dict{}
	for batch := range slices.Chunk(owners, maxMarks) {
		ids := make([]any, len(batch))
		for i, id := range batch {
			ids[i] = id
		}
		err := s.query("SELECT "+t.owner+", interface, step, args, "+s.db.dialect.quote(t.number)+" FROM "+t.table+" WHERE "+t.owner+
			" IN ("+marks(len(ids))+") ORDER BY id", ids, func(rows *sql.Rows) error {
			var owner, number int64
			var iface, step string
			var args sql.NullString
			if err := rows.Scan(&owner, &iface, &step, &args, &number); err != nil {
				return err
			}
			parsed, err := store.ParseDict([]byte(args.String))
			if err != nil {
				return fmt.Errorf("step %s.%s: %w", iface, step, err)
			}
			steps[owner] = append(steps[owner], store.Dict{"interface": iface, "step": step, "args": map[string]any(parsed),
				t.number: json.Number(fmt.Sprint(number))})
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", t.table, err)
		}
	}
	return steps, nil
}

// insert writes steps of an owner.
func (t stepTable) insert(s session, owner int64, steps []store.Dict) error {
	for i, step := range steps {
		args, err := store.AppendJSON(nil, map[string]any(step.Dict("args")))
		if err != nil {
			return fmt.Errorf("encoding the arguments of step %d: %w", i, err)
		}
		number, ok, err := step.Int(t.number)
		if err != nil || !ok {
			return store.Errorf(store.InvalidParameterValue, "The %s of step %d is no whole number.", t.number, i)
		}
		values := []any{s.db.now(), owner}
		for _, column := range []string{"interface", "step"} {
			value, err := s.db.fit(t.table, column, step.String(column))
			if err != nil {
				return err
			}
			values = append(values, value)
		}
		if _, err := s.exec("INSERT INTO "+t.table+" (created_at, "+t.owner+", interface, step, args, "+s.db.dialect.quote(t.number)+
			") VALUES (?, ?, ?, ?, ?, ?)", append(values, string(args), number)...); err != nil {
			return err
		}
	}
	return nil
}

// replace makes an owner's steps those given. Steps that are there already stay, so that their rows keep their place.
func (t stepTable) replace(s session, owner int64, steps []store.Dict) error {
	wanted := make([]string, len(steps))
	for i, step := range steps {
		text, err := t.key(step)
		if err != nil {
			return err
		}
		wanted[i] = text
	}
	kept := map[int]bool{}
	var gone []int64
	err := s.query("SELECT id, interface, step, args, "+s.db.dialect.quote(t.number)+" FROM "+t.table+" WHERE "+t.owner+" = ? ORDER BY id",
		[]any{owner}, func(rows *sql.Rows) error {
			var id, number int64
			var iface, step string
			var args sql.NullString
			if err := rows.Scan(&id, &iface, &step, &args, &number); err != nil {
				return err
			}
			parsed, err := store.ParseDict([]byte(args.String))
			if err != nil {
				return fmt.Errorf("step %s.%s: %w", iface, step, err)
			}
			present, err := t.key(store.Dict{"interface": iface, "step": step, "args": map[string]any(parsed), t.number: number})
			if err != nil {
				return err
			}
			for i, text := range wanted {
				if text == present && !kept[i] {
					kept[i] = true
					return nil
				}
			}
			gone = append(gone, id)
			return nil
		})
	if err != nil {
		return err
	}
	for _, id := range gone {
		if _, err := s.exec("DELETE FROM "+t.table+" WHERE id = ?", id); err != nil {
			return err
		}
	}
	var fresh []store.Dict
	for i, step := range steps {
		if !kept[i] {
			fresh = append(fresh, step)
		}
	}
	return t.insert(s, owner, fresh)
}

// key is a text that two steps share when they are alike.
func (t stepTable) key(step store.Dict) (string, error) {
	text, err := store.AppendJSON(nil, []any{step.String("interface"), step.String("step"), map[string]any(step.Dict("args")),
		step.String(t.number)})
	return string(text), err
}
