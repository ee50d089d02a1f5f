package sql

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/ring"
)

// interfaceBatch is how many interface rows one INSERT carries: SQLite takes no more than some thousand placeholders.
const interfaceBatch = 50

// Register makes a worker and its interfaces visible to its peers and to ironic-api, both in one transaction: a worker
// without interfaces would be alive and own nothing. A row of the same host name, left by a worker that was killed or by
// a Python conductor, is taken over; replaced tells that it was still online. The conductor's id, times and version are
// filled in, its group is lower case from then on.
//
// From then on an earlier process that works under the host name is fenced: whatever it writes as that host takes no
// effect and fails with ErrReplaced. What it had reserved is still reserved: ClearReservations after Register frees that,
// and nothing else, as long as this process has not begun to reserve.
func (db *DB) Register(ctx context.Context, c *store.Conductor, interfaces []store.HardwareInterface) (replaced bool, err error) {
	row := *c
	row.ConductorGroup = strings.ToLower(c.ConductorGroup)
	row.Drivers = slices.Sorted(slices.Values(c.Drivers))
	row.Version = orDefault(db.version("Conductor"), row.Version)
	row.Online = true
	var made registration
	err = db.transact(ctx, "registering conductor "+c.Hostname, func(s session) error {
		row.UpdatedAt = db.now()
		var created any
		var online sql.NullBool
		found, err := s.one("SELECT id, created_at, online FROM conductors WHERE hostname = ?"+db.dialect.forUpdate(),
			[]any{c.Hostname}, &row.ID, &created, &online)
		if err != nil {
			return err
		}
		replaced = replaced || online.Bool
		if !found {
			row.CreatedAt = row.UpdatedAt
			err = db.insertConductor(s, &row)
		} else if err = assignTime(&row.CreatedAt, created); err == nil {
			err = db.updateConductor(s, &row)
		}
		if err != nil {
			return err
		}
		made, err = db.replaceInterfaces(s, row.ID, interfaces)
		return err
	})
	if err != nil {
		return false, err
	}
	db.registrations.put(c.Hostname, made)
	*c = row
	return replaced, nil
}

func (db *DB) insertConductor(s session, row *store.Conductor) error {
	snapshot, err := store.TakeSnapshot(row)
	if err != nil {
		return err
	}
	row.ID, err = db.conductors.insert(s, snapshot)
	return err
}

func (db *DB) updateConductor(s session, row *store.Conductor) error {
	values, err := store.TakeSnapshot(row)
	if err != nil {
		return err
	}
	delete(values, "id")
	delete(values, "created_at")
	_, err = db.conductors.update(s, values, "id = ?", row.ID)
	return err
}

func (db *DB) replaceInterfaces(s session, id int64, interfaces []store.HardwareInterface) (registration, error) {
	made := registration{conductor: id, at: db.now()}
	if _, err := s.exec("DELETE FROM conductor_hardware_interfaces WHERE conductor_id = ?", id); err != nil {
		return made, err
	}
	for batch := range slices.Chunk(interfaces, interfaceBatch) {
		var args []any
		for _, i := range batch {
			args = append(args, made.at, id, i.HardwareType, i.InterfaceType, i.InterfaceName, i.Default)
		}
		rows := strings.TrimSuffix(strings.Repeat("(?, ?, ?, ?, ?, ?), ", len(batch)), ", ")
		_, err := s.exec("INSERT INTO conductor_hardware_interfaces (created_at, conductor_id, hardware_type, interface_type, "+
			"interface_name, "+db.dialect.quote("default")+") VALUES "+rows, args...)
		if db.dialect.classify(err).kind == faultDuplicate {
			return made, store.Errorf(store.ConductorInterfacesRegistered, "Duplication detected for hardware_type, interface_type and "+
				"interface combinations for this conductor while registering the interfaces: %w", err)
		}
		if err != nil {
			return made, err
		}
	}
	var last sql.NullInt64
	_, err := s.one("SELECT MAX(id) FROM conductor_hardware_interfaces WHERE conductor_id = ?", []any{id}, &last)
	made.last = last.Int64
	return made, err
}

// Touch renews a worker's sign of life; online says whether it takes work. ErrReplaced tells that a later process of the
// same host name gives the signs now. It uses a connection of its own, so that it waits for nothing else that this worker
// does; ctx should give it a deadline.
func (db *DB) Touch(ctx context.Context, hostname string, online bool) error {
	return db.writeFirst(ctx, "renewing conductor "+hostname, func(s session) error {
		fence, args := s.fence(hostname)
		n, err := s.exec("UPDATE conductors SET updated_at = ?, online = ? WHERE hostname = ?"+fence,
			append([]any{db.now(), online, hostname}, args...)...)
		if err != nil || n == 1 {
			return err
		}
		if err := s.whyFenced(hostname); err != nil {
			return err
		}
		return noSuchConductor(hostname)
	})
}

// Unregister hides a worker from its peers and from ironic-api, but not a later process of the same host name: ErrReplaced.
// The row stays, since nodes refer to it.
func (db *DB) Unregister(ctx context.Context, hostname string) error {
	return db.leave(ctx, hostname, 0)
}

// Retire is Unregister for good: the row says that the worker's last sign of life came timeout ago
// ([conductor]heartbeat_timeout), so that its peers need not wait for that long before they go on with its work.
func (db *DB) Retire(ctx context.Context, hostname string, timeout time.Duration) error {
	// Databases round to seconds, and compare with their own.
	return db.leave(ctx, hostname, timeout+time.Second)
}

func (db *DB) leave(ctx context.Context, hostname string, age time.Duration) error {
	db.registrations.leave(hostname)
	return db.transact(ctx, "unregistering conductor "+hostname, func(s session) error {
		var id int64
		found, err := s.one("SELECT id FROM conductors WHERE hostname = ?"+db.dialect.forUpdate(), []any{hostname}, &id)
		if err != nil {
			return err
		}
		if !found {
			return noSuchConductor(hostname)
		}
		if err := s.whyFenced(hostname); err != nil {
			return err
		}
		if _, err := db.replaceInterfaces(s, id, nil); err != nil {
			return err
		}
		_, err = s.exec("UPDATE conductors SET updated_at = ?, online = ? WHERE id = ?", db.now().Add(-age), false, id)
		return err
	})
}

func noSuchConductor(hostname string) error {
	return store.Errorf(store.ConductorNotFound, "Conductor %s could not be found.", hostname)
}

// Conductor reads a worker's row by host name, online or not.
func (db *DB) Conductor(ctx context.Context, hostname string) (*store.Conductor, error) {
	found, err := db.selectConductors(ctx, "hostname = ?", hostname)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, noSuchConductor(hostname)
	}
	return &found[0], nil
}

// OnlineConductors returns the workers that are online and gave a sign of life within timeout
// ([conductor]heartbeat_timeout), ordered by host name: the members of the hash ring. With SQLite, signs of life count
// for nothing from ironic 29.0 on.
func (db *DB) OnlineConductors(ctx context.Context, timeout time.Duration) ([]ring.Member, error) {
	alive, args := "c.online = ?", []any{true}
	if !db.ignoresHeartbeats() {
		alive, args = alive+" AND c.updated_at >= ?", append(args, db.now().Add(-timeout))
	}
	var members []ring.Member
	err := db.read(ctx, "reading the conductors that are alive", func(s session) error {
		members = nil
		return s.query("SELECT DISTINCT c.hostname, c.conductor_group, i.hardware_type FROM conductors c "+
			"LEFT JOIN conductor_hardware_interfaces i ON i.conductor_id = c.id WHERE "+alive+
			" ORDER BY c.hostname, i.hardware_type", args, func(rows *sql.Rows) error {
			var m ring.Member
			var hardwareType sql.NullString
			if err := rows.Scan(&m.Hostname, &m.Group, &hardwareType); err != nil {
				return err
			}
			if n := len(members); n == 0 || members[n-1].Hostname != m.Hostname {
				members = append(members, m)
			}
			if hardwareType.Valid {
				last := &members[len(members)-1]
				last.HardwareTypes = append(last.HardwareTypes, hardwareType.String)
			}
			return nil
		})
	})
	return members, err
}

// ignoresHeartbeats is so where ironic runs as a single process.
func (db *DB) ignoresHeartbeats() bool { return db.writer != nil && db.schema.since("21c48150dea9") }

// OfflineConductors returns the workers without a sign of life within timeout, whatever their online flag says: what they
// left can be taken over.
func (db *DB) OfflineConductors(ctx context.Context, timeout time.Duration) ([]store.Conductor, error) {
	if db.ignoresHeartbeats() {
		return db.selectConductors(ctx, "online = ?", false)
	}
	return db.selectConductors(ctx, "updated_at < ?", db.now().Add(-timeout))
}

// ForgetConductor deletes the row of a worker, with its interfaces, and takes it from nodes and allocations that it looked after. A
// worker that has given a sign of life since it was read stays, and so does one that still holds nodes: others free these first.
func (db *DB) ForgetConductor(ctx context.Context, c store.Conductor) (forgotten bool, err error) {
	err = db.transact(ctx, "deleting conductor "+c.Hostname, func(s session) error {
		forgotten = false
		same, err := s.unchanged(c)
		if err != nil || !same {
			return err
		}
		holds, err := s.one("SELECT id FROM nodes WHERE reservation = ?", []any{c.Hostname}, new(int64))
		if err != nil || holds {
			return err
		}
		for _, statement := range []string{
			"UPDATE nodes SET conductor_affinity = NULL WHERE conductor_affinity = ?",
			"UPDATE allocations SET conductor_affinity = NULL WHERE conductor_affinity = ?",
			"DELETE FROM conductor_hardware_interfaces WHERE conductor_id = ?",
			"DELETE FROM conductors WHERE id = ?",
		} {
			if _, err := s.exec(statement, c.ID); err != nil {
				return err
			}
		}
		forgotten = true
		return nil
	})
	return forgotten, err
}

func (db *DB) selectConductors(ctx context.Context, where string, args ...any) ([]store.Conductor, error) {
	var found []store.Conductor
	err := db.read(ctx, "reading conductors", func(s session) error {
		found = nil
		return s.query("SELECT "+db.conductors.columns+" FROM conductors WHERE "+where+" ORDER BY hostname", args,
			func(rows *sql.Rows) error {
				found = append(found, store.Conductor{})
				return db.conductors.scan(rows, &found[len(found)-1])
			})
	})
	return found, err
}
