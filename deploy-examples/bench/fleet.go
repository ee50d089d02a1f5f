package main

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

// fleet is the nodes in the database, which are the same for every conductor: put there before it starts, taken away
// after. What a conductor did is read from there too, at no cost to the conductor.
type fleet struct {
	db *sql.DB
	// asked counts the statements of this program, to be left out of what the server counts.
	asked int64
}

// nodeRow is what all nodes have in common: hardware that costs nothing, so that what is measured is the conductor.
var nodeRow = map[string]any{
	"driver": "fake-hardware", "power_state": "power off", "version": "1.37", "conductor_group": "", "maintenance": false,
	"console_enabled": false, "protected": false, "retired": false, "resource_class": "baremetal",
	"properties":  `{"cpus": 8, "memory_mb": 65536, "local_gb": 960, "cpu_arch": "x86_64"}`,
	"driver_info": "{}", "driver_internal_info": "{}", "extra": "{}", "clean_step": "{}", "deploy_step": "{}",
	"raid_config": "{}", "target_raid_config": "{}", "network_data": "{}",
	"instance_info":  `{"image_source": "http://127.0.0.1/disk.raw", "image_disk_format": "raw", "root_gb": 10}`,
	"bios_interface": "no-bios", "boot_interface": "fake", "console_interface": "no-console", "deploy_interface": "fake",
	"inspect_interface": "no-inspect", "management_interface": "fake", "network_interface": "noop", "power_interface": "fake",
	"raid_interface": "no-raid", "rescue_interface": "no-rescue", "storage_interface": "noop", "vendor_interface": "no-vendor",
}

func openFleet(ctx context.Context, database *lab.Database) (*fleet, error) {
	db, err := database.OpenMariaDB()
	if err != nil {
		return nil, err
	}
	db.SetMaxIdleConns(2)
	if err := db.PingContext(ctx); err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	return &fleet{db: db}, nil
}

// fill makes these the only nodes that there are, all in one provision state, and returns their UUIDs.
func (f *fleet) fill(ctx context.Context, count int, state string) ([]string, error) {
	for _, statement := range []string{"DELETE FROM node_history", "DELETE FROM bios_settings", "DELETE FROM nodes"} {
		if _, err := f.db.ExecContext(ctx, statement); err != nil {
			return nil, fmt.Errorf("removing the nodes of the part before: %w", err)
		}
	}
	return f.add(ctx, count, state)
}

// add puts further nodes into the database.
func (f *fleet) add(ctx context.Context, count int, state string) ([]string, error) {
	columns := []string{"uuid", "provision_state", "created_at", "provision_updated_at"}
	var common []any
	for name, value := range nodeRow {
		columns, common = append(columns, name), append(common, value)
	}
	tuple := "(" + strings.TrimSuffix(strings.Repeat("?, ", len(columns)), ", ") + ")"
	now := time.Now().UTC().Format(time.DateTime)
	var nodes []string
	const batch = 100
	for len(nodes) < count {
		n := min(batch, count-len(nodes))
		var args []any
		for range n {
			id := uuid.NewString()
			nodes = append(nodes, id)
			args = append(append(args, id, state, now, now), common...)
		}
		_, err := f.db.ExecContext(ctx, "INSERT INTO nodes ("+strings.Join(columns, ", ")+") VALUES "+tuple+
			strings.Repeat(", "+tuple, n-1), args...)
		if err != nil {
			return nil, fmt.Errorf("putting nodes into the database: %w", err)
		}
	}
	return nodes, nil
}

// nodeState is where a node stands.
type nodeState struct {
	state, failure string
	held           bool
}

// states reads where all nodes stand.
func (f *fleet) states(ctx context.Context) (map[string]nodeState, error) {
	f.asked++
	rows, err := f.db.QueryContext(ctx, "SELECT uuid, provision_state, reservation IS NOT NULL, COALESCE(last_error, '') FROM nodes")
	if err != nil {
		return nil, fmt.Errorf("reading the nodes: %w", err)
	}
	defer rows.Close()
	all := map[string]nodeState{}
	for rows.Next() {
		var node string
		var s nodeState
		if err := rows.Scan(&node, &s.state, &s.held, &s.failure); err != nil {
			return nil, fmt.Errorf("reading the nodes: %w", err)
		}
		all[node] = s
	}
	return all, rows.Err()
}

// statements is how many statements the server got from others so far.
func (f *fleet) statements(ctx context.Context) (int64, error) {
	f.asked++
	var name string
	var n int64
	err := f.db.QueryRowContext(ctx, "SHOW GLOBAL STATUS LIKE 'Questions'").Scan(&name, &n)
	if err != nil {
		return 0, fmt.Errorf("counting statements: %w", err)
	}
	return n - f.asked, nil
}

func (f *fleet) close() { _ = f.db.Close() }
