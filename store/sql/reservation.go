package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

// undoTimeout bounds the taking back of a reservation whose caller has gone.
const undoTimeout = 10 * time.Second

// reserveTries bounds the tries to reserve a node that is free whenever one looks and taken whenever one writes.
const reserveTries = 3

// Reserve locks a node, given by UUID or id, for a worker and returns the node as it is under the lock. tag is the
// worker's host name. One guarded UPDATE decides; any holder, the own host included, is NodeLocked. A process whose host
// was registered anew by another gets ErrReplaced, as from all that writes under a reservation.
//
// Whoever reserves a node holds its lock in the worker's own file (store/local), so nobody else of this process reserves or
// releases it meanwhile: when an UPDATE lost its answer, the own tag with the time of that UPDATE is its effect.
//
// Crash window: when the process dies between the UPDATE and the caller's next step, the reservation stays until
// ClearReservations at the next start. When ctx ends while the UPDATE is on its way, the reservation is taken back.
func (db *DB) Reserve(ctx context.Context, ident, tag string) (*store.Node, error) {
	where, arg, err := identity(ident)
	if err != nil {
		return nil, err
	}
	r := &reservation{ident: ident, where: where, arg: arg, tag: tag}
	if err := db.reserve(ctx, r); err != nil {
		return nil, err
	}
	node, err := db.Node(ctx, ident)
	if err != nil {
		return nil, db.undoReserve(ctx, r, err)
	}
	return node, nil
}

// reservation is an attempt to reserve a node.
type reservation struct {
	// ident is the node as it was given, where and arg are it as a condition.
	ident string
	where string
	arg   any
	tag   string
	// sent is the time in the last UPDATE, lost tells that its answer did not come.
	sent time.Time
	lost bool
}

func (db *DB) reserve(ctx context.Context, r *reservation) error {
	err := db.write(ctx, "reserving node "+r.ident, func(s session) error {
		for try := 1; ; try++ {
			if r.lost {
				if row, err := s.holder(r); err != nil || row.tag == r.tag && row.at.Equal(r.sent) {
					return err
				} else if row.tag != "" {
					r.lost = false
					return store.NodeLockedBy(row.uuid, row.tag)
				}
			}
			r.sent, r.lost = db.now(), true
			fence, args := s.fence(r.tag)
			n, err := s.exec("UPDATE nodes SET reservation = ?, updated_at = ? WHERE "+r.where+" AND reservation IS NULL"+fence,
				append([]any{r.tag, r.sent, r.arg}, args...)...)
			if err != nil {
				return err
			}
			r.lost = false
			if n == 1 {
				return nil
			}
			if err := s.whyFenced(r.tag); err != nil {
				return err
			}
			// A holder that lets go between the failed UPDATE and this look leaves the node to another try.
			if row, err := s.holder(r); err != nil {
				return err
			} else if row.tag != "" || try > reserveTries {
				return store.NodeLockedBy(row.uuid, row.tag)
			}
		}
	})
	if err != nil && r.lost {
		return db.undoReserve(ctx, r, err)
	}
	return err
}

// undoReserve takes back a reservation that nobody will learn of, so that it does not block the node.
func (db *DB) undoReserve(ctx context.Context, r *reservation, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	err := db.write(ctx, "taking back the reservation", func(s session) error {
		fence, args := s.fence(r.tag)
		_, err := s.exec("UPDATE nodes SET reservation = NULL, updated_at = ? WHERE "+r.where+
			" AND reservation = ? AND updated_at = ?"+fence, append([]any{db.now(), r.arg, r.tag, r.sent}, args...)...)
		return err
	})
	if err != nil {
		return fmt.Errorf("%w (and the reservation may have stayed: %w)", cause, err)
	}
	return cause
}

// holding is who holds a node, "" when nobody does, and when the row was written last.
type holding struct {
	uuid, tag string
	at        time.Time
}

func (s session) holder(r *reservation) (holding, error) {
	var h holding
	var tag sql.NullString
	at := field{dest: &h.at}
	found, err := s.one("SELECT uuid, reservation, updated_at FROM nodes WHERE "+r.where, []any{r.arg}, &h.uuid, &tag, &at)
	if err == nil && !found {
		err = store.NoSuchNode(r.ident)
	}
	h.tag = tag.String
	return h, errors.Join(err, at.err)
}

// Release gives a reserved node back. NodeNotLocked says that nobody held it, NodeLocked that somebody else does,
// NodeNotFound that the row is gone, ErrReplaced that a later process of the host may hold it; in none of these cases
// anything was changed.
func (db *DB) Release(ctx context.Context, id int64, tag string) error {
	// lost tells that an earlier UPDATE may have released the node already.
	lost := false
	return db.write(ctx, fmt.Sprintf("releasing node %d", id), func(s session) error {
		before := lost
		lost = true
		fence, args := s.fence(tag)
		n, err := s.exec("UPDATE nodes SET reservation = NULL, updated_at = ? WHERE id = ? AND reservation = ?"+fence,
			append([]any{db.now(), id, tag}, args...)...)
		if err != nil {
			return err
		}
		if n == 1 || before {
			return nil
		}
		if err := s.whyFenced(tag); err != nil {
			return err
		}
		row, err := s.holder(&reservation{ident: strconv.FormatInt(id, 10), where: "id = ?", arg: id})
		if err != nil {
			return err
		}
		if row.tag != "" && row.tag != tag {
			return store.NodeLockedBy(row.uuid, row.tag)
		}
		return store.Errorf(store.NodeNotLocked, "Node %s found not to be locked on release", row.uuid)
	})
}

// TakeOver ends the hold that a worker that is gone has on a node: the reservation goes over to tag, or the node becomes
// free when tag is "". gone is the worker's row, as OfflineConductors returned it. taken tells whether that was done; it
// was not when the worker gave a sign of life or registered anew since the row was read, or when it does not hold the node
// any more. Then nothing was changed.
//
// A worker that comes back writes its row before it reserves anything, under the same host name as before. So its row is
// locked here while the node is written: either it has not come back and its new reservations are still to come, or the
// row is another by now. A caller that takes the reservation for itself holds the node's lock in its own file, as for Reserve.
//
// Crash window: when the process dies after the COMMIT, the reservation under its own tag stays until its next start. When
// ctx ends while the COMMIT is on its way, the node is freed: the old holder may be back and would not know of a hold.
func (db *DB) TakeOver(ctx context.Context, id int64, gone store.Conductor, tag string) (taken bool, err error) {
	r := &reservation{ident: strconv.FormatInt(id, 10), where: "id = ?", arg: id, tag: tag}
	err = db.transact(ctx, fmt.Sprintf("taking node %d over from %s", id, gone.Hostname), func(s session) error {
		taken = false
		if r.lost {
			row, err := s.holder(r)
			if err != nil || row.tag == r.tag && row.at.Equal(r.sent) {
				taken = err == nil
				return err
			}
		}
		if still, err := s.unchanged(gone); err != nil || !still {
			return err
		}
		r.sent, r.lost = db.now(), true
		fence, args := s.fence(tag)
		n, err := s.exec("UPDATE nodes SET reservation = ?, updated_at = ? WHERE id = ? AND reservation = ?"+fence,
			append([]any{sql.NullString{String: tag, Valid: tag != ""}, r.sent, id, gone.Hostname}, args...)...)
		taken = n == 1
		return err
	})
	if err != nil && r.lost && tag != "" {
		err = db.undoReserve(ctx, r, err)
	}
	if store.KindOf(err) == store.NodeNotFound {
		err = nil
	}
	return taken && err == nil, err
}

// unchanged tells whether a conductor's row is as it was read, and keeps it so until the transaction ends.
func (s session) unchanged(c store.Conductor) (bool, error) {
	var online sql.NullBool
	var at time.Time
	updated := field{dest: &at}
	found, err := s.one("SELECT online, updated_at FROM conductors WHERE id = ? AND hostname = ?"+s.db.dialect.forUpdate(),
		[]any{c.ID, c.Hostname}, &online, &updated)
	return found && online.Bool == c.Online && at.Equal(c.UpdatedAt), errors.Join(err, updated.err)
}

// sameHost is ironic's case-insensitive comparison of a reservation with a host. Ironic also takes "_" and "%" in host
// names for wildcards and would clear the locks of other hosts then; here they are plain characters.
const sameHost = "LOWER(reservation) LIKE LOWER(?) ESCAPE '!'"

func likeLiteral(text string) string {
	return strings.NewReplacer("!", "!!", "_", "!_", "%", "!%").Replace(text)
}

// ClearReservations frees all nodes that a host holds, whatever the case of its name, and returns their UUIDs. Only a
// host that starts or stops may do so for itself: after Register and before it reserves anything, or at its end.
func (db *DB) ClearReservations(ctx context.Context, host string) ([]string, error) {
	return db.clear(ctx, "clearing reservations", host, "", "reservation = NULL")
}

// abortedPowerAction is what ironic tells about a power action that its conductor did not live to see the end of.
const abortedPowerAction = "Pending power operation was aborted due to conductor restart"

// ClearTargetPowerStates ends the power actions that were under way on nodes that a host holds, and returns the nodes'
// UUIDs. It comes before ClearReservations. In the provision states of flows, which go on, the action is no loss to speak of:
// its node is not returned and last_error stays.
func (db *DB) ClearTargetPowerStates(ctx context.Context, host string, flows ...string) ([]string, error) {
	const pending = " AND target_power_state IS NOT NULL"
	if len(flows) == 0 {
		return db.clear(ctx, "clearing target power states", host, pending, abortPower)
	}
	in := "IN ('" + strings.Join(flows, "', '") + "')"
	if _, err := db.clear(ctx, "clearing target power states", host, pending+" AND provision_state "+in,
		"target_power_state = NULL"); err != nil {
		return nil, err
	}
	return db.clear(ctx, "clearing target power states", host, pending+" AND COALESCE(provision_state, '') NOT "+in, abortPower)
}

const abortPower = "target_power_state = NULL, last_error = '" + abortedPowerAction + "'"

func (db *DB) clear(ctx context.Context, what, host, further, set string) ([]string, error) {
	var cleared []string
	err := db.transact(ctx, what, func(s session) error {
		if err := s.whyFenced(host); err != nil {
			return err
		}
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
		fence, args := s.fence(host)
		_, err = s.exec("UPDATE nodes SET updated_at = ?, "+set+" WHERE "+sameHost+further+fence,
			append([]any{db.now(), likeLiteral(host)}, args...)...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return cleared, nil
}
