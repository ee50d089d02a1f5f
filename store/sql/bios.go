package sql

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
)

// ReplaceBIOSSettings makes the stored BIOS settings of a node, by name, those given and no others. Rows that are right
// already are left alone.
func (db *DB) ReplaceBIOSSettings(ctx context.Context, nodeID int64, settings map[string]string) error {
	now := db.now()
	return db.transact(ctx, fmt.Sprintf("writing the BIOS settings of node %d", nodeID), func(s session) error {
		present := map[string]string{}
		err := s.query("SELECT name, value FROM bios_settings WHERE node_id = ?", []any{nodeID}, func(rows *sql.Rows) error {
			var name string
			var value sql.NullString
			if err := rows.Scan(&name, &value); err != nil {
				return err
			}
			present[name] = value.String
			return nil
		})
		if err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(present)) {
			if _, wanted := settings[name]; wanted {
				continue
			}
			if _, err := s.exec("DELETE FROM bios_settings WHERE node_id = ? AND name = ?", nodeID, name); err != nil {
				return err
			}
		}
		for _, name := range slices.Sorted(maps.Keys(settings)) {
			value := settings[name]
			old, exists := present[name]
			switch {
			case !exists:
				_, err = s.exec("INSERT INTO bios_settings (created_at, version, node_id, name, value, allowable_values) "+
					"VALUES (?, ?, ?, ?, ?, ?)", now, db.version("BIOSSetting"), nodeID, name, value, "[]")
			case old != value:
				_, err = s.exec("UPDATE bios_settings SET value = ?, updated_at = ? WHERE node_id = ? AND name = ?", value, now,
					nodeID, name)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}
