package conductor

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/local"
	"github.com/ironmaster/ironmaster/store/sql"
	"github.com/ironmaster/ironmaster/store/sql/sqltest"
)

// TestTheLockProtocol plays at random with workers that take nodes, change them and give them back, each with a file of its
// own and all on one database. What a worker does is stopped between any two changes of its file and of the database, and
// others go on meanwhile. Workers are killed there and started again, stop in order, fall silent and come back, are started
// anew elsewhere while their old process goes on, and take over from each other.
//
// It holds that no two workers may act on a node at once, that nobody writes a node under a reservation that another has
// taken since, and that in the end every node can be had. Of a failure rapid shows the shortest sequence that it finds.
func TestTheLockProtocol(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newLockWorld(t, rt)
		defer w.end()
		actions := map[string]func(*rapid.T){
			"":           w.nobodyActsBeside,
			"upheaval":   w.upheaval,
			"lock":       w.lock,
			"upgrade":    w.upgrade,
			"save":       w.save,
			"release":    w.release,
			"goOn":       w.goOn,
			"signOfLife": w.signOfLife,
			"takeOver":   w.takeOver,
			"timePasses": w.timePasses,
		}
		for range 3 {
			rt.Repeat(actions)
		}
		w.settle(rt)
	})
}

// lockWorld is what the workers stand on, and what the test knows of them.
type lockWorld struct {
	t         *testing.T
	base      *rig
	node      *store.Node
	hosts     map[string]string // the file of each
	processes []*lockProcess
	files     int
	// running is the operation that goes on at the moment; never more than one does.
	running *lockOperation
	// robbed are the hosts that the node was taken from although they were there.
	robbed []string
	// taken counts what changed the node's holder.
	taken int
}

// lockProcess is one run of a worker.
type lockProcess struct {
	*Conductor
	host        string
	closeMemory func()
	ghost       bool
	tasks       []*lockTask
	operations  []*lockOperation
}

// lockTask is a hold on a node that was got.
type lockTask struct {
	*task
	number int  // of the change that made it the holder
	cut    bool // the lease lapsed since: it must not act any more
}

// lockOperation is something under way in a process, which stops at each point that its records and reservations pass.
type lockOperation struct {
	process *lockProcess
	what    string
	// number is that of the change that it made to a node's holder.
	number  int
	proceed chan bool // false kills it
	stopped chan string
	ended   chan struct{}
	err     error
	then    func()
}

var lockHosts = []string{"a", "b"}

func newLockWorld(t *testing.T, rt *rapid.T) *lockWorld {
	base := newRig(t, func(c *Config) {
		c.NodeLockedRetryAttempts, c.HeartbeatInterval = 1, 10*time.Second
	})
	base.brokerless = true
	w := &lockWorld{t: t, base: base, hosts: map[string]string{}}
	w.node = &store.Node{Driver: "fake-hardware", ProvisionState: store.Manageable}
	if err := base.db.CreateNode(t.Context(), w.node); err != nil {
		rt.Fatal(err)
	}
	for _, host := range lockHosts {
		w.hosts[host] = w.newFile()
		w.open(rt, host)
	}
	return w
}

func (w *lockWorld) newFile() string {
	w.files++
	return filepath.Join(filepath.Dir(w.base.file), fmt.Sprintf("%d.db", w.files))
}

func (w *lockWorld) end() {
	for len(w.processes) > 0 {
		w.die(w.processes[0])
	}
	if err := w.base.db.Close(); err != nil {
		w.t.Error(err)
	}
}

// begin starts an operation, which stops at its first point.
func (w *lockWorld) begin(p *lockProcess, what string, do func() error, then func(error)) {
	op := &lockOperation{process: p, what: what, proceed: make(chan bool), stopped: make(chan string), ended: make(chan struct{})}
	op.then = func() { then(op.err) }
	p.operations = append(p.operations, op)
	w.running = op
	go func() {
		defer close(op.ended)
		op.err = errKilled
		op.err = do()
	}()
	w.await(op)
}

var errKilled = errors.New("killed")

// proceed lets an operation go on to its next point.
func (w *lockWorld) proceed(op *lockOperation) {
	w.running = op
	op.proceed <- true
	w.await(op)
}

func (w *lockWorld) await(op *lockOperation) {
	select {
	case <-op.stopped:
	case <-op.ended:
		op.process.operations = slices.DeleteFunc(op.process.operations, func(o *lockOperation) bool { return o == op })
		op.then()
	}
}

// holderChanged notes that the running operation has taken the node, from nobody or somebody.
func (w *lockWorld) holderChanged() {
	w.taken++
	w.running.number = w.taken
}

// open starts a host on its file: what Conductor.Run does before requests are let in.
func (w *lockWorld) open(rt *rapid.T, host string) {
	r := *w.base
	r.cfg.Host, r.file = host, w.hosts[host]
	r.db = sqltest.OpenAt(w.t, r.url, func(cfg *sql.Config) { cfg.Now = r.clock.now })
	c, _, closeMemory := r.build(w.t)
	p := &lockProcess{Conductor: c, host: host, closeMemory: closeMemory}
	c.records, c.reservations = &stoppingRecords{w, c.local}, &stoppingReservations{w, c.db}
	w.processes, w.running = append(w.processes, p), nil
	row := &store.Conductor{Hostname: host, Drivers: c.hardware.HardwareTypes()}
	began := c.uptime()
	if _, err := c.db.Register(w.t.Context(), row, c.hardware.Rows()); err != nil {
		rt.Fatal(err)
	}
	c.lease.renew(began)
	if _, err := c.claim(w.t.Context()); err != nil {
		rt.Fatal(err)
	}
}

// die ends a process as kill -9 does: nothing that it has begun goes on.
func (w *lockWorld) die(p *lockProcess) {
	for _, op := range p.operations {
		op.proceed <- false
		<-op.ended
	}
	p.endWork()
	p.closeMemory()
	if err := p.db.Close(); err != nil {
		w.t.Error(err)
	}
	w.processes = slices.DeleteFunc(w.processes, func(other *lockProcess) bool { return other == p })
}

// finish lets everything that a process has begun come to its end, and gives its nodes back.
func (w *lockWorld) finish(p *lockProcess) {
	for len(p.operations) > 0 {
		w.proceed(p.operations[0])
	}
	for len(p.tasks) > 0 {
		w.giveBack(p, p.tasks[0])
		for len(p.operations) > 0 {
			w.proceed(p.operations[0])
		}
	}
}

func (w *lockWorld) giveBack(p *lockProcess, held *lockTask) {
	p.tasks = slices.DeleteFunc(p.tasks, func(other *lockTask) bool { return other == held })
	w.begin(p, "release", func() error { return held.release(w.t.Context()) }, func(err error) {
		if err != nil {
			w.t.Errorf("%s gave %s back: %v", p.host, held.Node.UUID, err)
		}
	})
}

// nobodyActsBeside holds that of the workers that may act on a node at this moment there is one at most. A ghost that has
// not found out yet is not counted: its writes take no effect.
func (w *lockWorld) nobodyActsBeside(rt *rapid.T) {
	if len(w.robbed) > 0 {
		rt.Fatalf("the node was taken from %s, which may act on it", strings.Join(w.robbed, " and "))
	}
	if acting := w.acting(); len(acting) > 1 {
		rt.Fatalf("%s may act on the node at once", strings.Join(acting, " and "))
	}
}

// acting are the hosts that may act on the node at this moment.
func (w *lockWorld) acting() (hosts []string) {
	for _, p := range w.processes {
		if p.mayAct() != nil {
			for _, held := range p.tasks {
				held.cut = true
			}
			continue
		}
		for _, held := range p.tasks {
			if !held.cut && !held.Shared && !p.ghost {
				hosts = append(hosts, p.host)
			}
		}
	}
	return hosts
}

// settle holds that no release was lost: when everybody has come to an end, and those that are gone were taken over, every
// worker can have the node.
func (w *lockWorld) settle(rt *rapid.T) {
	for _, p := range slices.Clone(w.processes) {
		if p.ghost {
			w.die(p)
		}
	}
	if len(w.processes) == 0 {
		w.open(rt, lockHosts[0])
	}
	for _, p := range w.processes {
		w.finish(p)
	}
	for range 2 {
		w.base.clock.forward(w.base.cfg.HeartbeatTimeout)
		for _, p := range w.processes {
			if err := p.renew(w.t.Context()); err != nil {
				rt.Fatal(err)
			}
		}
	}
	for _, p := range w.processes {
		w.adopt(p)
		w.finish(p)
	}
	w.running = nil
	for _, p := range w.processes {
		held, err := p.lockExclusive(w.t.Context(), oslo.AdminContext(), w.node.UUID, lockMode{noDriver: true})
		if err != nil {
			rt.Fatalf("%s cannot have the node in the end: %v", p.host, err)
		}
		if err := held.release(w.t.Context()); err != nil {
			rt.Fatal(err)
		}
		if left := p.local.Locks(); len(left) > 0 {
			rt.Fatalf("%s has records of locks left: %v", p.host, left)
		}
	}
}

// point is where an operation stops until the test lets it go on, or kills it.
func (w *lockWorld) point(name string) {
	op := w.running
	if op == nil {
		return
	}
	op.stopped <- name
	if !<-op.proceed {
		runtime.Goexit()
	}
}

type stoppingRecords struct {
	w *lockWorld
	r *local.DB
}

func (s *stoppingRecords) TryLock(want local.Lock) (local.Lock, error) {
	defer s.w.point("recorded")
	return s.r.TryLock(want)
}

func (s *stoppingRecords) Upgrade(holder, purpose string) error {
	defer s.w.point("recorded as exclusive")
	return s.r.Upgrade(holder, purpose)
}

func (s *stoppingRecords) Downgrade(holder string) error {
	s.w.point("before the record is a reader's again")
	return s.r.Downgrade(holder)
}

func (s *stoppingRecords) Unlock(holder string) error {
	s.w.point("before the record goes")
	return s.r.Unlock(holder)
}

type stoppingReservations struct {
	w *lockWorld
	r *sql.DB
}

func (s *stoppingReservations) Reserve(ctx context.Context, ident, tag string) (*store.Node, error) {
	defer s.w.point("reserved")
	n, err := s.r.Reserve(ctx, ident, tag)
	if err == nil && s.w.running != nil {
		s.w.holderChanged()
	}
	return n, err
}

func (s *stoppingReservations) Release(ctx context.Context, id int64, tag string) error {
	s.w.point("before the release")
	return s.r.Release(ctx, id, tag)
}
