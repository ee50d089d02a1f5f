package conductor

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/local"
	"github.com/ironmaster/ironmaster/store/ring"
	"github.com/ironmaster/ironmaster/store/sql"
)

// Explanation tells operators what a node has gone through and why it stands where it does. It holds no secrets.
type Explanation struct {
	Node     NodeView       `json:"node"`
	Timeline []local.Moment `json:"timeline"`
	Reason   Reason         `json:"reason"`
	// Conductor is whose memory the timeline is, and Running whether it answers itself.
	Conductor string `json:"conductor"`
	Running   bool   `json:"running"`
	// Owner is the conductor that the hash ring maps the node to, "" when there is none.
	Owner string `json:"owner"`
}

// NodeView is what operators see of a node's row.
type NodeView struct {
	UUID            string    `json:"uuid"`
	Name            string    `json:"name"`
	Driver          string    `json:"driver"`
	ProvisionState  string    `json:"provision_state"`
	TargetState     string    `json:"target_provision_state"`
	Since           time.Time `json:"provision_updated_at"`
	PowerState      string    `json:"power_state"`
	Step            string    `json:"step"`
	Reservation     string    `json:"reservation"`
	Purpose         string    `json:"purpose"`
	Maintenance     bool      `json:"maintenance"`
	MaintenanceText string    `json:"maintenance_reason"`
	LastError       string    `json:"last_error"`
	LastHeartbeat   time.Time `json:"last_heartbeat"`
}

// Reason is why a node waits, in pieces of a sentence, and what an operator can do about it.
type Reason struct {
	// Rule is the name of the rule that knew it.
	Rule     string `json:"rule"`
	WaitsFor string `json:"waits_for"`
	Because  string `json:"because"`
	Try      string `json:"try"`
}

// Explainer is what nodes are explained from: the shared database and one worker's file.
type Explainer struct {
	// DB is nil when the database does not answer; DatabaseErr says why.
	DB          *sql.DB
	DatabaseErr error
	Local       *local.DB
	Config      Config
	Now         func() time.Time
	// worker is how the running worker does; nil when none runs.
	worker *workerView
}

// explainTimeout is how long the database may take while a node is explained: that it is away is a part of the answer.
const explainTimeout = 3 * time.Second

// Explain tells about a node, by UUID or name. A database that is away is explained too, for a node named by its UUID.
func (e Explainer) Explain(ctx context.Context, ident string) (Explanation, error) {
	ctx, cancel := context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	s := &situation{now: e.Now().UTC(), cfg: e.Config, worker: e.worker, databaseErr: e.DatabaseErr}
	id := ident
	if e.DB != nil {
		s.node, s.databaseErr = e.find(ctx, ident)
	}
	if s.databaseErr == nil {
		id = s.node.UUID
		s.databaseErr = e.surroundings(ctx, s)
	}
	if store.KindOf(s.databaseErr) == store.NodeNotFound {
		return Explanation{}, s.databaseErr
	}
	if s.databaseErr != nil && uuid.Validate(id) != nil {
		return Explanation{}, fmt.Errorf("the database does not answer, so node %q can be found by its UUID only: %w", ident, s.databaseErr)
	}
	var err error
	if s.timeline, err = e.Local.Timeline(id); err != nil {
		return Explanation{}, err
	}
	slices.SortStableFunc(s.timeline, func(a, b local.Moment) int { return a.At.Compare(b.At) })
	for _, l := range e.Local.Locks() {
		if l.Node == id && !l.Shared {
			s.purpose = l.Purpose
		}
	}
	x := Explanation{Node: s.view(id), Timeline: s.timeline, Reason: s.reason(), Conductor: e.Config.Host,
		Running: e.worker != nil, Owner: s.owner}
	if s.node != nil {
		x.Reason.Because = withoutSecrets(s.node, x.Reason.Because)
	}
	return x, nil
}

// find reads a node by UUID or name.
func (e Explainer) find(ctx context.Context, ident string) (*store.Node, error) {
	if uuid.Validate(ident) == nil {
		return e.DB.Peek(ctx, ident)
	}
	nodes, err := e.DB.Nodes(ctx, sql.Filter{Name: ident, IncludeChildren: true, Peek: true})
	if err == nil && (len(nodes) == 0 || ident == "") {
		err = store.NoSuchNode(ident)
	}
	if err != nil {
		return nil, err
	}
	return nodes[0], nil
}

// surroundings reads who is to look after the node, and who holds it.
func (e Explainer) surroundings(ctx context.Context, s *situation) error {
	members, err := e.DB.OnlineConductors(ctx, e.Config.HeartbeatTimeout)
	if err != nil {
		return err
	}
	set, err := ring.NewSet(ring.Config{Exponent: e.Config.HashPartitionExponent, Algorithm: e.Config.HashRingAlgorithm}, members)
	if err != nil {
		return err
	}
	s.owner = set.Host(s.node.Driver, s.node.ConductorGroup, s.node.UUID)
	if s.node.Reservation == "" {
		return nil
	}
	s.holderAlive = slices.ContainsFunc(members, func(m ring.Member) bool { return strings.EqualFold(m.Hostname, s.node.Reservation) })
	row, err := e.DB.Conductor(ctx, s.node.Reservation)
	if store.KindOf(err) == store.ConductorNotFound {
		return nil
	}
	if err == nil {
		s.holderSeen = row.UpdatedAt
	}
	return err
}

func (s *situation) view(id string) NodeView {
	n := s.node
	if n == nil {
		return NodeView{UUID: id}
	}
	v := NodeView{UUID: n.UUID, Driver: n.Driver, ProvisionState: n.ProvisionState, TargetState: n.TargetProvisionState,
		Since: n.ProvisionUpdatedAt, PowerState: n.PowerState, Step: s.step(), Reservation: n.Reservation, Purpose: s.purpose,
		Maintenance: n.Maintenance, LastError: withoutSecrets(n, n.LastError), LastHeartbeat: s.lastHeartbeat()}
	if n.Name != nil {
		v.Name = *n.Name
	}
	if n.MaintenanceReason != nil {
		v.MaintenanceText = withoutSecrets(n, *n.MaintenanceReason)
	}
	return v
}

// step names the step that the row says runs, with its place: "deploy.write_image (2 of 6)".
func (s *situation) step() string {
	for _, kind := range []drivers.StepKind{drivers.DeployStep, drivers.CleanStep, drivers.ServiceStep} {
		column := *stepColumn(s.node, kind)
		if len(column) == 0 {
			continue
		}
		info := s.node.DriverInternalInfo
		index, known, err := info.Int(string(kind) + "_step_index")
		if err != nil || !known {
			return stepID(column)
		}
		return fmt.Sprintf("%s (%d of %d)", stepID(column), index+1, len(info.List(string(kind)+"_steps")))
	}
	return ""
}

// serveExplanation answers /explain?node=.
func (c *Conductor) serveExplanation(w http.ResponseWriter, r *http.Request) {
	e := Explainer{DB: c.db, Local: c.local, Config: c.present(), Now: c.now, worker: c.view()}
	x, err := e.Explain(r.Context(), r.URL.Query().Get("node"))
	if err != nil {
		status := http.StatusInternalServerError
		if store.KindOf(err) != "" {
			status = http.StatusNotFound
		}
		c.writeJSON(w, status, AdminError{err.Error()})
		return
	}
	c.writeJSON(w, http.StatusOK, x)
}

// workerView is what a running worker knows of itself that holds nodes up.
type workerView struct {
	// lease is why the worker does not act, "" when it does.
	lease   string
	leaving bool
	// deaf is what requests need to come and is not there: "broker".
	deaf string
}

func (c *Conductor) view() *workerView {
	v := &workerView{}
	_, v.leaving = c.ending.way()
	if err := c.mayAct(); err != nil && c.atWork.Load() {
		v.lease = err.Error()
	}
	if part, away := c.transport.Health(); away != nil {
		v.deaf = cmp.Or(part, "transport")
	}
	return v
}
