package conductor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/local"
	"github.com/ironmaster/ironmaster/store/sql"
)

// Unlocker frees nodes for an operator. It frees what nobody works on, and nothing else: work that is under way is not
// ended by taking its lock away, it goes on touching the machine beside whoever takes the node next.
type Unlocker struct {
	DB     *sql.DB
	Local  *local.DB
	Config Config
	Now    func() time.Time
	// worker is the one that runs and has the file; nil when none does.
	worker *Conductor
}

// Unlocked is what came of it.
type Unlocked struct {
	Node string `json:"node"`
	// Freed says whose lock is gone, in words; "" when the node was not locked.
	Freed string `json:"freed"`
}

// Unlock frees a node, by UUID or name. An error says who works on the node, or may, and what to do about that.
func (u Unlocker) Unlock(ctx context.Context, ident string) (Unlocked, error) {
	n, err := Explainer{DB: u.DB}.find(ctx, ident)
	if err != nil {
		return Unlocked{}, err
	}
	done := Unlocked{Node: n.UUID}
	switch holder := n.Reservation; {
	case u.worker != nil && (holder == "" || strings.EqualFold(holder, u.Config.Host)):
		done.Freed, err = u.worker.unlock(ctx, n)
	case holder != "":
		done.Freed, err = u.fromHolder(ctx, n)
	}
	if err == nil && u.worker == nil {
		err = u.dropRecord(n.UUID, &done)
	}
	return done, err
}

// unlock frees a node that this worker is said to hold and does not. Whoever of this process works on it has its record in
// the worker's file: that nobody has is made sure of by taking the record.
func (c *Conductor) unlock(ctx context.Context, n *store.Node) (freed string, err error) {
	mine, err := c.local.TryLock(local.Lock{Node: n.UUID, Purpose: "being freed by an operator"})
	var locked *local.Locked
	if errors.As(err, &locked) {
		request := ""
		if locked.Holder.RequestID != "" {
			request = " for request " + locked.Holder.RequestID
		}
		return "", store.Errorf(store.NodeLocked, "Conductor %s is at work on node %s%s: %s, since %s. Wait for it, abort it "+
			"(openstack baremetal node abort), or restart the conductor, which then goes on with it", c.cfg.Host, n.UUID, request,
			locked.Holder.Purpose, locked.Holder.Since.UTC().Format(time.DateTime))
	}
	if err != nil {
		return "", err
	}
	if n.Reservation != "" {
		err = c.db.Release(ctx, n.ID, n.Reservation)
		freed = fmt.Sprintf("a reservation of conductor %s that nobody there works under", n.Reservation)
		if kind := store.KindOf(err); kind == store.NodeNotLocked || kind == store.NodeLocked {
			freed, err = "", nil
		}
	}
	return freed, errors.Join(err, c.local.Unlock(mine.Holder))
}

// fromHolder frees a node from a worker that is gone, in the way of a peer that takes over.
func (u Unlocker) fromHolder(ctx context.Context, n *store.Node) (freed string, err error) {
	row, err := u.DB.Conductor(ctx, n.Reservation)
	if store.KindOf(err) == store.ConductorNotFound {
		return fmt.Sprintf("a reservation of %s, which no conductor is called", n.Reservation), u.DB.Release(ctx, n.ID, n.Reservation)
	}
	if err != nil {
		return "", err
	}
	if quiet := u.Now().Sub(row.UpdatedAt); quiet < u.Config.HeartbeatTimeout {
		return "", store.Errorf(store.NodeLocked, "Node %s is reserved by conductor %s, which gave a sign of life %s ago: it may be at "+
			"work. Ask on its machine, or let %s pass without one", n.UUID, row.Hostname, Span(quiet), Span(u.Config.HeartbeatTimeout))
	}
	taken, err := u.DB.TakeOver(ctx, n.ID, *row, "")
	if err == nil && !taken {
		err = store.Errorf(store.NodeLocked, "Node %s changed hands meanwhile; look again", n.UUID)
	}
	return fmt.Sprintf("the reservation of conductor %s, which is gone", row.Hostname), err
}

// dropRecord removes what a worker that is gone has noted in its file.
func (u Unlocker) dropRecord(node string, done *Unlocked) error {
	for _, l := range u.Local.Stale() {
		if l.Node != node {
			continue
		}
		if err := u.Local.Drop(l.Holder); err != nil {
			return err
		}
		if done.Freed == "" {
			done.Freed = fmt.Sprintf("the record of a lock for %q", l.Purpose)
		}
	}
	return nil
}

// unlockTimeout is how long an operator waits for the database.
const unlockTimeout = 10 * time.Second

// serveUnlock answers POST /locks/release?node=. It is the one thing at this address that changes something, so it is for
// who is on this machine, and not for web pages that a browser there shows: those cannot set the header.
func (c *Conductor) serveUnlock(w http.ResponseWriter, r *http.Request) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if ip := net.ParseIP(host); err != nil || !ip.IsLoopback() || r.Header.Get(OperatorHeader) == "" {
		c.writeJSON(w, http.StatusForbidden, AdminError{"locks are released by `ironmaster locks --release NODE` on the conductor's machine"})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), unlockTimeout)
	defer cancel()
	ident := r.URL.Query().Get("node")
	done, err := Unlocker{DB: c.db, Local: c.local, Config: c.present(), Now: c.now, worker: c}.Unlock(ctx, ident)
	status := http.StatusInternalServerError
	switch store.KindOf(err) {
	case store.NodeNotFound:
		status = http.StatusNotFound
	case store.NodeLocked:
		status = http.StatusConflict
	}
	if err != nil {
		c.writeJSON(w, status, AdminError{err.Error()})
		return
	}
	if done.Freed != "" {
		c.log.Warn().Str("node", done.Node).Str("freed", done.Freed).Msg("An operator freed a node")
		c.beatAgain(done.Node)
	}
	c.writeJSON(w, http.StatusOK, done)
}

// OperatorHeader marks requests of `ironmaster` itself.
const OperatorHeader = "X-Ironmaster-Operator"
