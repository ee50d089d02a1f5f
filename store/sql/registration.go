package sql

import (
	"errors"
	"sync"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

// ErrReplaced tells that a later process registered under the host name that this one works under, another program that
// registers workers included. This process is a ghost: its reservations can't be told from those of the later one by
// name, so none of its writes takes effect any more. It must stop at once and touch no hardware.
var ErrReplaced = errors.New("another process has registered under this host name since")

// registration is how the rows of a registration are told from those of any other of the same host: by the ids and the
// time of its interfaces. Ids only grow on MariaDB and PostgreSQL; SQLite gives them out again, but has times to the
// microsecond, where MariaDB has seconds.
type registration struct {
	conductor int64
	last      int64 // the greatest id, 0 when there are no interfaces
	at        time.Time
	// left tells that this process deregisters, or has done so: its rows may be gone.
	left bool
}

// valid is a condition on the shared database: no other process has registered since. As long as this one has not
// deregistered its own rows must be there: a later process may have come and gone.
func (r registration) valid() (condition string, args []any) {
	if r.left || r.last == 0 {
		return "NOT EXISTS (SELECT 1 FROM conductor_hardware_interfaces WHERE conductor_id = ? AND (id > ? OR created_at <> ?))",
			[]any{r.conductor, r.last, r.at}
	}
	return "EXISTS (SELECT 1 FROM conductor_hardware_interfaces WHERE conductor_id = ? AND id = ? AND created_at = ?)",
		[]any{r.conductor, r.last, r.at}
}

// registrations are those that this process made, by host name.
type registrations struct {
	mu   sync.Mutex
	made map[string]registration
}

func (r *registrations) put(host string, made registration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.made == nil {
		r.made = map[string]registration{}
	}
	r.made[host] = made
}

// leave notes that a host is about to be deregistered.
func (r *registrations) leave(host string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if made, ok := r.made[host]; ok {
		made.left = true
		r.made[host] = made
	}
}

// of returns the registration of a host; ok is false for one that this process did not register.
func (r *registrations) of(host string) (made registration, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	made, ok = r.made[host]
	return made, ok
}

// fence is what a statement that acts for a host appends to its WHERE, so that it does nothing for a process that was
// replaced. The condition and the write are one statement: there is no moment between them in which a later process could
// register. PostgreSQL decides by what was there when the statement began. That is enough: a later process that registers
// while the statement waits for a node's row comes behind it in the queue for the row.
func (s session) fence(host string) (clause string, args []any) {
	made, ok := s.db.registrations.of(host)
	if !ok {
		return "", nil
	}
	condition, args := made.valid()
	return " AND " + condition, args
}

// whyFenced returns ErrReplaced for the host of a process that was replaced.
func (s session) whyFenced(host string) error {
	made, ok := s.db.registrations.of(host)
	if !ok {
		return nil
	}
	condition, args := made.valid()
	// The conductor's row is always there: this process wrote it.
	found, err := s.one("SELECT id FROM conductors WHERE id = ? AND NOT "+condition, append([]any{made.conductor}, args...), new(int64))
	if err == nil && found {
		err = store.Errorf(store.TemporaryFailure, "Conductor %s was started anew, and this run of it does nothing more: %w",
			host, ErrReplaced)
	}
	return err
}
