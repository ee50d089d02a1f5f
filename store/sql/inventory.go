package sql

import (
	"context"
	"fmt"

	"github.com/ironmaster/ironmaster/store"
)

// SaveInventory replaces what is stored of a node's inspection: the inventory, and what hooks made of it. ironic-api reads it.
func (db *DB) SaveInventory(ctx context.Context, nodeID int64, inventory, pluginData store.Dict) error {
	var texts [2]string
	for i, part := range []store.Dict{inventory, pluginData} {
		if part == nil {
			part = store.Dict{}
		}
		text, err := store.AppendJSON(nil, part)
		if err != nil {
			return fmt.Errorf("encoding the inventory of node %d: %w", nodeID, err)
		}
		texts[i] = string(text)
	}
	return db.transact(ctx, fmt.Sprintf("writing the inventory of node %d", nodeID), func(s session) error {
		if _, err := s.exec("DELETE FROM node_inventory WHERE node_id = ?", nodeID); err != nil {
			return err
		}
		_, err := s.exec("INSERT INTO node_inventory (created_at, version, node_id, inventory_data, plugin_data) VALUES (?, ?, ?, ?, ?)",
			db.now(), db.version("NodeInventory"), nodeID, texts[0], texts[1])
		return err
	})
}

// LastInventory is what the last inspection of a node found, nil when nothing is stored.
func (db *DB) LastInventory(ctx context.Context, nodeID int64) (*store.NodeInventory, error) {
	found, err := Select[store.NodeInventory](ctx, db, "node_inventory",
		Selection{Where: []Condition{Equals("node_inventory.node_id", nodeID)}, Limit: 1})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

// DeleteInventory forgets what was stored of a node's inspection.
func (db *DB) DeleteInventory(ctx context.Context, nodeID int64) error {
	lost := false
	return db.write(ctx, fmt.Sprintf("deleting the inventory of node %d", nodeID), func(s session) error {
		before := lost
		lost = true
		n, err := s.exec("DELETE FROM node_inventory WHERE node_id = ?", nodeID)
		if err == nil && n == 0 && !before {
			return NoInventory(nodeID)
		}
		return err
	})
}

// NoInventory is the failure of asking for the inventory of a node that was never inspected.
func NoInventory(node any) error {
	return store.Errorf(store.NodeInventoryNotFound, "Node inventory record for node %v could not be found.", node)
}
