package sql

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// RecordFirmware writes down which firmware a node's parts were found with. As in ironic, parts that were not found stay as they are, and
// rows that are right are left alone. Of the components Component, CurrentVersion, Vendor, Model and SerialNumber count. Texts are a
// BMC's, and are made to fit; of a component that is told of several times, as a card with several controllers is, the first counts.
func (db *DB) RecordFirmware(ctx context.Context, nodeID int64, components []store.FirmwareComponent) error {
	return db.transact(ctx, fmt.Sprintf("writing the firmware of node %d", nodeID), func(s session) error {
		present := map[string]*store.FirmwareComponent{}
		table := newRows[store.FirmwareComponent](db, "firmware_information")
		err := s.query("SELECT "+table.columns+" FROM firmware_information WHERE node_id = ?", []any{nodeID}, func(rows *sql.Rows) error {
			one := &store.FirmwareComponent{}
			if err := table.scan(rows, one); err != nil {
				return err
			}
			present[one.Component] = one
			return nil
		})
		if err != nil {
			return err
		}
		told := map[string]bool{}
		for _, c := range components {
			c = db.mendFirmware(c)
			if told[c.Component] {
				continue
			}
			told[c.Component] = true
			if err := db.recordFirmware(s, nodeID, present[c.Component], c); err != nil {
				return err
			}
		}
		return nil
	})
}

// recordFirmware writes one component; old is its row, nil where there is none.
func (db *DB) recordFirmware(s session, nodeID int64, old *store.FirmwareComponent, c store.FirmwareComponent) error {
	names, values := []string{"current_version"}, []any{c.CurrentVersion}
	makers := db.schema.HasColumn("firmware_information", "vendor")
	if makers {
		names, values = append(names, "vendor", "model", "serial_number"), append(values, c.Vendor, c.Model, c.SerialNumber)
	}
	if old == nil {
		names = append(names, "initial_version", "created_at", "version", "node_id", "component")
		values = append(values, c.CurrentVersion, db.now(), db.version("FirmwareComponent"), nodeID, c.Component)
		_, err := s.exec("INSERT INTO firmware_information ("+strings.Join(names, ", ")+") VALUES ("+marks(len(names))+")", values...)
		return err
	}
	flashed := !same(old.CurrentVersion, c.CurrentVersion) || old.LastVersionFlashed != nil && !same(old.LastVersionFlashed, c.CurrentVersion)
	if !flashed && (!makers || same(old.Vendor, c.Vendor) && same(old.Model, c.Model) && same(old.SerialNumber, c.SerialNumber)) {
		return nil
	}
	if flashed {
		names, values = append(names, "last_version_flashed"), append(values, c.CurrentVersion)
	}
	names, values = append(names, "updated_at"), append(values, db.now())
	_, err := s.exec("UPDATE firmware_information SET "+strings.Join(names, " = ?, ")+" = ? WHERE node_id = ? AND component = ?",
		append(values, nodeID, c.Component)...)
	return err
}

// mendFirmware makes what a BMC tells of a component storable.
func (db *DB) mendFirmware(c store.FirmwareComponent) store.FirmwareComponent {
	fitting := func(column, text string) string {
		shape := db.schema.tables["firmware_information"][column]
		return cut(mend(text, shape), shape.chars)
	}
	c.Component = fitting("component", c.Component)
	for column, text := range map[string]**string{"current_version": &c.CurrentVersion, "vendor": &c.Vendor, "model": &c.Model,
		"serial_number": &c.SerialNumber} {
		if *text != nil {
			*text = new(fitting(column, **text))
		}
	}
	return c
}

func same(a, b *string) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }
