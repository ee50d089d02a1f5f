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
			value := optional(wanted[name].Value)
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

// BIOSSettings reads all settings of a node, by name.
func (db *DB) BIOSSettings(ctx context.Context, nodeID int64) ([]*store.BIOSSetting, error) {
	return SelectBy[store.BIOSSetting](ctx, db, "bios_settings", "name", Equals("node_id", nodeID))
}

// CreateBIOSSettings notes further settings of a node, all or none.
func (db *DB) CreateBIOSSettings(ctx context.Context, node int64, settings []store.BIOSSetting) error {
	lost := false
	return db.transact(ctx, fmt.Sprintf("writing the BIOS settings of node %d", node), func(s session) error {
		present, err := s.biosSettingsOf(node)
		if err != nil {
			return err
		}
		again := lost
		lost = true
		for _, one := range settings {
			value := optional(one.Value)
			old, exists := present[one.Name]
			if exists && again && old == value {
				continue // An attempt whose answer was lost wrote it.
			}
			if exists {
				// Ironic names the last setting of the request, whichever was there.
				return store.Errorf(store.BIOSSettingAlreadyExists, "A BIOS setting %s for node %d already exists.",
					settings[len(settings)-1].Name, node)
			}
			if err := db.writeBIOSSetting(s, node, one, value, false); err != nil {
				return err
			}
			present[one.Name] = value
		}
		return nil
	})
}

// UpdateBIOSSettings changes settings of a node, all or none.
func (db *DB) UpdateBIOSSettings(ctx context.Context, node int64, settings []store.BIOSSetting) error {
	return db.transact(ctx, fmt.Sprintf("writing the BIOS settings of node %d", node), func(s session) error {
		present, err := s.biosSettingsOf(node)
		if err != nil {
			return err
		}
		for _, one := range settings {
			if _, exists := present[one.Name]; !exists {
				return NoBIOSSetting(node, one.Name)
			}
			if err := db.writeBIOSSetting(s, node, one, optional(one.Value), true); err != nil {
				return err
			}
		}
		return nil
	})
}

// DeleteBIOSSettings forgets settings of a node. Those that are not there are named in the failure, and the others are gone.
func (db *DB) DeleteBIOSSettings(ctx context.Context, node int64, names []string) error {
	var missing []string
	lost := false
	err := db.transact(ctx, fmt.Sprintf("deleting BIOS settings of node %d", node), func(s session) error {
		present, err := s.biosSettingsOf(node)
		if err != nil {
			return err
		}
		if !lost {
			missing = slices.DeleteFunc(slices.Clone(names), func(name string) bool { _, exists := present[name]; return exists })
		}
		lost = true
		for _, name := range names {
			if _, err := s.exec("DELETE FROM bios_settings WHERE node_id = ? AND name = ?", node, name); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && len(missing) > 0 {
		return store.Errorf(store.BIOSSettingListNotFound, "Node %d doesn't have BIOS settings '%s'", node, strings.Join(missing, ","))
	}
	return err
}

// NoBIOSSetting is the failure of asking for a setting that nobody noted.
func NoBIOSSetting(node any, name string) error {
	return store.Errorf(store.BIOSSettingNotFound, "Node %v doesn't have a BIOS setting '%s'", node, name)
}

func derefText(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

func optional(text *string) sql.NullString {
	if text == nil {
		return sql.NullString{}
	}
	return sql.NullString{String: *text, Valid: true}
}

// biosSettingsOf reads the settings of a node, which must be there.
func (s session) biosSettingsOf(node int64) (map[string]sql.NullString, error) {
	found, err := s.one("SELECT id FROM nodes WHERE id = ?"+s.db.dialect.forUpdate(), []any{node}, new(int64))
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, store.Errorf(store.NodeNotFound, "Node %d could not be found.", node)
	}
	return presentBIOSSettings(s, node)
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
	for _, one := range []struct{ column, text string }{{"name", b.Name}, {"value", value.String}, {"attribute_type", derefText(b.Type)}} {
		if _, err := db.fit("bios_settings", one.column, one.text); err != nil {
			return store.Errorf(store.InvalidParameterValue, "BIOS setting %q cannot be stored: %w", cut(b.Name, 255), err)
		}
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
