package sql

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// ReplaceBIOSSettings makes the stored BIOS settings of a node, by name, those given and no others. Rows that are right
// already are left alone.
func (db *DB) ReplaceBIOSSettings(ctx context.Context, nodeID int64, settings map[string]string) error {
	var all []store.BIOSSetting
	for name, value := range settings {
		all = append(all, store.BIOSSetting{Name: name, Value: &value})
	}
	return db.ReplaceRegisteredBIOSSettings(ctx, nodeID, all)
}

// ReplaceRegisteredBIOSSettings is ReplaceBIOSSettings for firmware that describes its settings. As in ironic, rows whose values are
// right are left alone, whatever else they say.
func (db *DB) ReplaceRegisteredBIOSSettings(ctx context.Context, nodeID int64, settings []store.BIOSSetting) error {
	wanted := map[string]store.BIOSSetting{}
	for _, one := range settings {
		wanted[one.Name] = one
	}
	return db.transact(ctx, fmt.Sprintf("writing the BIOS settings of node %d", nodeID), func(s session) error {
		present, err := presentBIOSSettings(s, nodeID)
		if err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(present)) {
			if _, stays := wanted[name]; stays {
				continue
			}
			if _, err := s.exec("DELETE FROM bios_settings WHERE node_id = ? AND name = ?", nodeID, name); err != nil {
				return err
			}
		}
		for _, name := range slices.Sorted(maps.Keys(wanted)) {
			value := sql.NullString{}
			if v := wanted[name].Value; v != nil {
				value = sql.NullString{String: *v, Valid: true}
			}
			old, exists := present[name]
			if exists && old == value {
				continue
			}
			if err := db.writeBIOSSetting(s, nodeID, wanted[name], value, exists); err != nil {
				return err
			}
		}
		return nil
	})
}

func presentBIOSSettings(s session, nodeID int64) (map[string]sql.NullString, error) {
	present := map[string]sql.NullString{}
	err := s.query("SELECT name, value FROM bios_settings WHERE node_id = ?", []any{nodeID}, func(rows *sql.Rows) error {
		var name string
		var value sql.NullString
		if err := rows.Scan(&name, &value); err != nil {
			return err
		}
		present[name] = value
		return nil
	})
	return present, err
}

func (db *DB) writeBIOSSetting(s session, nodeID int64, b store.BIOSSetting, value sql.NullString, exists bool) error {
	allowable, err := store.AppendJSON(nil, append([]string{}, b.AllowableValues...))
	if err != nil {
		return fmt.Errorf("encoding allowable_values of %s: %w", b.Name, err)
	}
	columns := []string{"value", "attribute_type", "allowable_values", "lower_bound", "upper_bound", "min_length", "max_length",
		"read_only", "reset_required", db.dialect.quote("unique")}
	values := []any{value, b.Type, string(allowable), b.LowerBound, b.UpperBound, b.MinLength, b.MaxLength, b.ReadOnly, b.ResetRequired,
		b.Unique}
	if exists {
		_, err := s.exec("UPDATE bios_settings SET "+strings.Join(columns, " = ?, ")+" = ?, updated_at = ? WHERE node_id = ? AND name = ?",
			append(values, db.now(), nodeID, b.Name)...)
		return err
	}
	columns = append(columns, "created_at", "version", "node_id", "name")
	values = append(values, db.now(), db.version("BIOSSetting"), nodeID, b.Name)
	_, err = s.exec("INSERT INTO bios_settings ("+strings.Join(columns, ", ")+") VALUES ("+marks(len(columns))+")", values...)
	return err
}
