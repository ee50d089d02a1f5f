package sql

import (
	"context"
	"database/sql"
	"time"
)

// EnabledInterface is an interface that a living worker has enabled for a hardware type: a row of conductor_hardware_interfaces.
type EnabledInterface struct {
	ID            int64     `field:"id"`
	CreatedAt     time.Time `field:"created_at"`
	UpdatedAt     time.Time `field:"updated_at"`
	ConductorID   int64     `field:"conductor_id"`
	HardwareType  string    `field:"hardware_type"`
	InterfaceType string    `field:"interface_type"`
	InterfaceName string    `field:"interface_name"`
	Default       bool      `field:"default"`
}

// EnabledInterfaces reads the interfaces of hardware types on the workers that are online and gave a sign of life within timeout.
func (db *DB) EnabledInterfaces(ctx context.Context, hardware []string, timeout time.Duration) ([]EnabledInterface, error) {
	const table = "conductor_hardware_interfaces"
	columns := newRows[EnabledInterface](db, table)
	var c conditions
	c.in(table+".hardware_type", hardware)
	if len(c.clauses) == 0 {
		return nil, nil
	}
	c.add("conductors.online = ?", true)
	if !db.ignoresHeartbeats() {
		c.add("conductors.updated_at >= ?", db.now().Add(-timeout))
	}
	statement := "SELECT " + columns.columns + " FROM " + table + " JOIN conductors ON conductors.id = " + table +
		".conductor_id" + c.where() + " ORDER BY " + table + ".id"
	var found []EnabledInterface
	err := db.read(ctx, "reading the interfaces that are enabled", func(s session) error {
		found = nil
		return s.query(statement, c.args, func(from *sql.Rows) error {
			var one EnabledInterface
			err := columns.scan(from, &one)
			found = append(found, one)
			return err
		})
	})
	return found, err
}

// Shard is a part of the fleet by its name, nil for the nodes without one.
type Shard struct {
	Name  *string `json:"name"`
	Count int64   `json:"count"`
}

// Shards counts the nodes of each shard, the largest first.
func (db *DB) Shards(ctx context.Context) ([]Shard, error) {
	var found []Shard
	err := db.read(ctx, "counting the nodes of shards", func(s session) error {
		found = []Shard{}
		return s.query("SELECT shard, COUNT(id) FROM nodes GROUP BY shard ORDER BY COUNT(id) DESC", nil, func(from *sql.Rows) error {
			var one Shard
			err := from.Scan(&one.Name, &one.Count)
			found = append(found, one)
			return err
		})
	})
	return found, err
}
