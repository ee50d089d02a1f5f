package sql

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

// undoTimeout bounds the taking back of a reservation whose caller has gone.
const undoTimeout = 10 * time.Second

// reserveTries bounds the tries to reserve a node that is free whenever one looks and taken whenever one writes.
const reserveTries = 3

// Reserve locks a node, given by UUID or id, for a worker and returns the node as it is under the lock. tag is the
// worker's host name. One guarded UPDATE decides; any holder, the own host included, is NodeLocked.
//
// Crash window: when the process dies between the UPDATE and the caller's next step, the reservation stays until
// ClearReservations at the next start. When ctx ends while the UPDATE is on its way, the reservation is taken back.
func (db *DB) Reserve(ctx context.Context, ident, tag string) (*store.Node, error) {
	where, arg, err := identity(ident)
	if err != nil {
		return nil, err
	}
	var id int64
	var uuid string
	err = db.read(ctx, "reserving a node", func(s session) error {
		found, err := s.one("SELECT id, uuid FROM nodes WHERE "+where, []any{arg}, &id, &uuid)
		if err == nil && !found {
			return store.NoSuchNode(ident)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	letGo, err := db.hold(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("reserving node %s: %w", uuid, err)
	}
	defer letGo()
	if err := db.reserve(ctx, id, uuid, tag); err != nil {
		return nil, err
	}
	node, err := db.Node(ctx, uuid)
	if err != nil {
		return nil, db.undoReserve(ctx, id, tag, err)
	}
	return node, nil
}

func (db *DB) reserve(ctx context.Context, id int64, uuid, tag string) error {
	// lost tells that an UPDATE was sent while the node was free, and its answer did not come: the stripe keeps others of
	// this process away, so the own tag in the row can then only come from that UPDATE.
	lost := false
	err := db.write(ctx, "reserving node "+uuid, func(s session) error {
		for try := 1; ; try++ {
			holder, err := s.holder(id, uuid)
			if err != nil {
				return err
			}
			if holder == tag && lost {
				return nil
			}
			// A holder that lets go between a failed UPDATE and this look leaves the node to another try.
			if holder != "" || try > reserveTries {
				return store.NodeLockedBy(uuid, holder)
			}
			lost = true
			n, err := s.exec("UPDATE nodes SET reservation = ?, updated_at = ? WHERE id = ? AND reservation IS NULL",
				tag, db.now(), id)
			if err != nil {
				return err
			}
			lost = false
			if n == 1 {
				return nil
			}
		}
	})
	if err != nil && lost {
		return db.undoReserve(ctx, id, tag, err)
	}
	return err
}

// undoReserve takes back a reservation that nobody will learn of, so that it does not block the node.
func (db *DB) undoReserve(ctx context.Context, id int64, tag string, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	err := db.write(ctx, "taking back the reservation", func(s session) error {
		_, err := s.exec("UPDATE nodes SET reservation = NULL, updated_at = ? WHERE id = ? AND reservation = ?", db.now(), id, tag)
		return err
	})
	if err != nil {
		return fmt.Errorf("%w (and the reservation may have stayed: %w)", cause, err)
	}
	return cause
}

// holder returns the node's reservation, "" when it is free.
func (s session) holder(id int64, ident string) (string, error) {
	var tag sql.NullString
	found, err := s.one("SELECT reservation FROM nodes WHERE id = ?", []any{id}, &tag)
	if err == nil && !found {
		err = store.NoSuchNode(ident)
	}
	return tag.String, err
}

// Release gives a reserved node back. NodeNotLocked says that nobody held it, NodeLocked that somebody else does,
// NodeNotFound that the row is gone; in none of these cases anything was changed.
func (db *DB) Release(ctx context.Context, id int64, tag string) error {
	letGo, err := db.hold(ctx, id)
	if err != nil {
		return fmt.Errorf("releasing node %d: %w", id, err)
	}
	defer letGo()
	// lost tells that an earlier UPDATE may have released the node already.
	lost := false
	return db.write(ctx, fmt.Sprintf("releasing node %d", id), func(s session) error {
		before := lost
		lost = true
		n, err := s.exec("UPDATE nodes SET reservation = NULL, updated_at = ? WHERE id = ? AND reservation = ?", db.now(), id, tag)
		if err != nil {
			return err
		}
		if n == 1 || before {
			return nil
		}
		var uuid string
		found, err := s.one("SELECT uuid FROM nodes WHERE id = ?", []any{id}, &uuid)
		if err != nil {
			return err
		}
		if !found {
			return store.NoSuchNode(fmt.Sprint(id))
		}
		holder, err := s.holder(id, uuid)
		if err != nil {
			return err
		}
		if holder != "" && holder != tag {
			return store.NodeLockedBy(uuid, holder)
		}
		return store.Errorf(store.NodeNotLocked, "Node %s found not to be locked on release", uuid)
	})
}

// sameHost is ironic's case-insensitive comparison of a reservation with a host. Ironic also takes "_" and "%" in host
// names for wildcards and would clear the locks of other hosts then; here they are plain characters.
const sameHost = "LOWER(reservation) LIKE LOWER(?) ESCAPE '!'"

func likeLiteral(text string) string {
	return strings.NewReplacer("!", "!!", "_", "!_", "%", "!%").Replace(text)
}

// ClearReservations frees all nodes that a host holds, whatever the case of its name, and returns their UUIDs. Only a
// host that starts or stops may do so for itself.
func (db *DB) ClearReservations(ctx context.Context, host string) ([]string, error) {
	return db.clear(ctx, "clearing reservations", host, "", "reservation = NULL")
}

// abortedPowerAction is what ironic tells about a power action that its conductor did not live to see the end of.
const abortedPowerAction = "Pending power operation was aborted due to conductor restart"

// ClearTargetPowerStates ends the power actions that were under way on nodes that a host holds, and returns the nodes'
// UUIDs. It comes before ClearReservations.
func (db *DB) ClearTargetPowerStates(ctx context.Context, host string) ([]string, error) {
	return db.clear(ctx, "clearing target power states", host, " AND target_power_state IS NOT NULL",
		"target_power_state = NULL, last_error = '"+abortedPowerAction+"'")
}

func (db *DB) clear(ctx context.Context, what, host, further, set string) ([]string, error) {
	var cleared []string
	err := db.transact(ctx, what, func(s session) error {
		var found []string
		err := s.query("SELECT uuid FROM nodes WHERE "+sameHost+further+" ORDER BY id", []any{likeLiteral(host)},
			func(rows *sql.Rows) error {
				var uuid string
				err := rows.Scan(&uuid)
				found = append(found, uuid)
				return err
			})
		if err != nil {
			return err
		}
		if len(found) > 0 {
			// An attempt whose COMMIT lost its answer has emptied the list for the next one.
			cleared = found
		}
		_, err = s.exec("UPDATE nodes SET updated_at = ?, "+set+" WHERE "+sameHost+further, db.now(), likeLiteral(host))
		return err
	})
	if err != nil {
		return nil, err
	}
	return cleared, nil
}
