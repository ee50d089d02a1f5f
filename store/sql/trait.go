package sql

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/ironmaster/ironmaster/store"
)

// maxTraits is how many traits ironic allows a node.
const maxTraits = 50

// addTraits reads the traits of nodes, sorted.
func (s session) addTraits(nodes []*store.Node) error {
	ids := make([]int64, len(nodes))
	for i, n := range nodes {
		ids[i] = n.ID
	}
	traits, err := s.traitsOf("node_traits", "node_id", ids)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		n.Traits = slices.Sorted(slices.Values(traits[n.ID]))
	}
	return nil
}

// traitsOf reads the traits of several owners out of a table, by the owner's id and in no order.
func (s session) traitsOf(table, owner string, ids []int64) (map[int64][]string, error) {
	traits := make(map[int64][]string, len(ids))
	for batch := range slices.Chunk(ids, maxMarks) {
		args := make([]any, len(batch))
		for i, id := range batch {
			args[i] = id
		}
		err := s.query("SELECT "+owner+", trait FROM "+table+" WHERE "+owner+" IN ("+marks(len(args))+")", args,
			func(rows *sql.Rows) error {
				var id int64
				var trait string
				if err := rows.Scan(&id, &trait); err != nil {
					return err
				}
				traits[id] = append(traits[id], trait)
				return nil
			})
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", table, err)
		}
	}
	return traits, nil
}

// SetTraits gives a node exactly these traits, if the guard still holds.
func (db *DB) SetTraits(ctx context.Context, n *store.Node, g Guard, traits []string) error {
	return db.changeTraits(ctx, n, g, func([]string) ([]string, error) { return traits, nil })
}

// AddTraits gives a node further traits, if the guard still holds; those that it has already stay.
func (db *DB) AddTraits(ctx context.Context, n *store.Node, g Guard, traits []string) error {
	return db.changeTraits(ctx, n, g, func(present []string) ([]string, error) { return slices.Concat(present, traits), nil })
}

// RemoveTraits takes traits from a node, if the guard still holds. When it lacks one of them, the failure is
// NodeTraitNotFound and it keeps all.
func (db *DB) RemoveTraits(ctx context.Context, n *store.Node, g Guard, traits []string) error {
	lost := false
	return db.changeTraits(ctx, n, g, func(present []string) ([]string, error) {
		for _, trait := range traits {
			if !slices.Contains(present, trait) && !lost {
				return nil, store.Errorf(store.NodeTraitNotFound, "Node %d doesn't have a trait '%s'", n.ID, trait)
			}
		}
		// An attempt whose answer is lost may have removed them.
		lost = true
		return slices.DeleteFunc(slices.Clone(present), func(t string) bool { return slices.Contains(traits, t) }), nil
	})
}

// changeTraits replaces the traits of a node by what change makes of the present ones, all or none.
func (db *DB) changeTraits(ctx context.Context, n *store.Node, g Guard, change func(present []string) ([]string, error)) error {
	var wanted []string
	err := db.transact(ctx, "changing the traits of node "+n.UUID, func(s session) error {
		where, args := s.guarded(n.ID, g, "")
		held, err := s.one("SELECT id FROM nodes WHERE "+where+db.dialect.forUpdate(), args, new(int64))
		if err != nil {
			return err
		}
		if !held {
			return s.whyUnmatched(n, g)
		}
		row := store.Node{ID: n.ID}
		if err := s.addTraits([]*store.Node{&row}); err != nil {
			return err
		}
		wanted, err = change(row.Traits)
		if err != nil {
			return err
		}
		wanted = slices.Compact(slices.Sorted(slices.Values(wanted)))
		if len(wanted) > maxTraits {
			return store.Errorf(store.InvalidParameterValue, "Could not modify traits for node %d as it would exceed the "+
				"maximum number of traits per node (%d vs. %d)", n.ID, len(wanted), maxTraits)
		}
		return s.replaceTraits(n.ID, row.Traits, wanted)
	})
	if err == nil {
		n.Traits = wanted
	}
	return err
}

func (s session) replaceTraits(node int64, present, wanted []string) error {
	for _, trait := range present {
		if slices.Contains(wanted, trait) {
			continue
		}
		if _, err := s.exec("DELETE FROM node_traits WHERE node_id = ? AND trait = ?", node, trait); err != nil {
			return err
		}
	}
	for _, trait := range wanted {
		if slices.Contains(present, trait) {
			continue
		}
		value, err := s.db.fit("node_traits", "trait", trait)
		if err != nil {
			return err
		}
		_, err = s.exec("INSERT INTO node_traits (created_at, updated_at, version, node_id, trait) VALUES (?, NULL, ?, ?, ?)",
			s.db.now(), nullable(s.db.version("Trait")), node, value)
		if err != nil {
			return err
		}
	}
	return nil
}
