package wholeworker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
)

// way is what follows a kill.
type way string

const (
	// returns: the same worker is started again at once.
	returns way = "returns"
	// takeover: a peer has to go on. The dead worker comes back only when the flow has ended, or when it alone can know of
	// the request that the flow begins with.
	takeover way = "takeover"
	// race: the worker comes back in the moment in which its peer takes over.
	race way = "race"
	// again: the same worker is started again, and killed once more where its resume comes by the same point, or else when the
	// flow has ended.
	again way = "again"
)

func (w way) hasPeer() bool { return w == takeover || w == race }

const (
	// crashPoll is how often a worker is asked whether it stands at its point.
	crashPoll = 20 * time.Millisecond
	// crashLimit bounds how long a flow may take. The machine may be busy with other tests.
	crashLimit = 100 * time.Second
	// crashPatience is how long after its time a takeover may begin before the request counts as unknown to the peer.
	crashPatience = 5 * time.Second
)

// crashCell is one field of the matrix: a worker is killed when it comes by a point for the pass-th time in a flow.
type crashCell struct {
	flow  crashFlow
	point crashPoint
	pass  int
	way   way
}

func (cell crashCell) String() string {
	return fmt.Sprintf("%s/%s#%d/%s", cell.flow.name, cell.point.name, cell.pass, cell.way)
}

// crashRun is a cell while it runs.
type crashRun struct {
	crashCell
	*crashWorld
	machine *room.Machine
	node    string
	// victim is killed, peer is nil when it is the only worker.
	victim, peer *crasher
	killed       time.Time
	// back is closed when the victim was started again.
	back chan struct{}
}

// enter brings the node where the flow begins, with workers of its own that look after it and end with the test.
func (c *crashWorld) enter(t *testing.T, cell crashCell, m *room.Machine, group string) *crashRun {
	t.Helper()
	r := &crashRun{crashCell: cell, crashWorld: c, machine: m, back: make(chan struct{})}
	hosts := []string{group + "-a"}
	r.victim = c.hire(t, hosts[0], group)
	if cell.way.hasPeer() {
		hosts = append(hosts, group+"-b")
		r.peer = c.hire(t, hosts[1], group)
	}
	id := uuidOf(t, func(host func(...string) string) bool { return host(hosts...) == hosts[0] })
	var err error
	own := map[string]any{"uuid": id, "name": group, "deploy_interface": cmp.Or(cell.flow.deploy, "direct"),
		"boot_interface": cmp.Or(cell.flow.boot, "redfish-virtual-media"), "rescue_interface": "agent"}
	if cell.flow.inspect != "" {
		own["inspect_interface"] = cell.flow.inspect
	}
	if cell.flow.face != "" {
		own["driver_info"] = m.Info().DriverInfo
	}
	maps.Copy(own, cell.flow.own)
	r.node, err = c.api.enrol(t.Context(), m.Info(), c.ramdisk, own)
	must(t, err)
	if cell.flow.on {
		must(t, givePower(t.Context(), m.Info()))
	}
	update, err := cell.flow.row(c, group)
	must(t, err)
	_, err = c.db.ExecContext(t.Context(), update+" WHERE uuid = '"+r.node+"'")
	must(t, err)
	if cell.flow.ready != nil {
		must(t, cell.flow.ready(r, t.Context()))
	}
	return r
}

// hire starts a worker for one test, and shows what it logged when the test fails.
func (c *crashWorld) hire(t *testing.T, host, group string) *crasher {
	t.Helper()
	w, err := c.crasher(context.Background(), host, group)
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("--- end of the log of %s\n%s", host, w.story())
		}
		if err := w.service.Kill(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// order asks for the flow, and again when no worker has taken the request: at once, when that is the answer; when the caller
// has waited in vain, not before the victim is back, which may have the request in its inbox. One that outlived its time in
// the victim's queue is lost, and its caller knows that it was not answered.
func (r *crashRun) order(ctx context.Context) error {
	body := r.flow.order
	if r.flow.orderOf != nil {
		body = r.flow.orderOf(r.crashWorld)
	}
	for {
		err := r.api.once(ctx, http.MethodPut, "/v1/nodes/"+r.node+"/states/provision", body, nil)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if statusOf(err) == http.StatusInternalServerError {
			select {
			case <-r.back:
			case <-ctx.Done():
				return ctx.Err()
			}
			if err := pause(ctx, crashPatience); err != nil {
				return err
			}
		}
		if row, err := r.row(ctx, r.node); err != nil || row.state != r.flow.from || r.flow.done(row, r.machine) {
			return err
		}
		if err := pause(ctx, retryPause); err != nil {
			return err
		}
	}
}

// run carries the cell out. An error tells what was not as it should be; hit tells whether the worker came by the point.
func (r *crashRun) run(ctx context.Context) (hit bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, crashLimit)
	defer cancel()
	if err := r.victim.arm(ctx, r.point.name, r.pass); err != nil {
		return false, err
	}
	ordering, stopOrdering := context.WithCancel(ctx)
	ordered := make(chan error, 1)
	go func() { ordered <- r.order(ordering) }()
	defer func() { stopOrdering(); <-ordered }()
	if err := r.awaitPoint(ctx); err != nil {
		return false, err
	}
	if err := r.victim.service.Kill(); err != nil {
		return true, err
	}
	r.killed = time.Now()
	if err := r.recover(ctx); err != nil {
		return true, err
	}
	return true, r.judge(ctx)
}

// awaitPoint returns when the victim stands at its point.
func (r *crashRun) awaitPoint(ctx context.Context) error {
	for {
		passes, err := r.victim.passes(ctx, r.point.name)
		if err != nil || passes >= r.pass {
			return err
		}
		row, err := r.row(ctx, r.node)
		if err != nil {
			return err
		}
		if r.flow.done(row, r.machine) {
			return errors.New("the flow has ended and the worker did not come by")
		}
		if err := pause(ctx, crashPoll); err != nil {
			return fmt.Errorf("waiting for the worker to come by: the node is in %s", row)
		}
	}
}

// recover brings workers back as the way says, and waits for the end of the flow.
func (r *crashRun) recover(ctx context.Context) error {
	var err error
	switch r.way {
	case race:
		err = pause(ctx, r.headStart())
	case again:
		err = r.killAgain(ctx)
	case takeover:
		return r.awaitPeer(ctx)
	}
	if err != nil {
		return err
	}
	if err := r.comeBack(ctx); err != nil {
		return err
	}
	return r.awaitEnd(ctx, nil)
}

// awaitPeer waits until the peer has brought the flow to its end, and brings the victim back then.
func (r *crashRun) awaitPeer(ctx context.Context) error {
	back := false
	err := r.awaitEnd(ctx, func(row crashRow) error {
		if back || !r.forgotten(row) {
			return nil
		}
		back = true
		return r.comeBack(ctx)
	})
	if err != nil || back {
		return err
	}
	return r.comeBack(ctx)
}

// forgotten tells that no worker knows of the request: the flow has not begun when it must have long ago.
func (r *crashRun) forgotten(row crashRow) bool {
	return row.state == r.flow.from && time.Since(r.killed) > crashTimeout+crashPatience
}

// killAgain starts the victim, and kills it where it comes by its point, at the end of the flow, or when there is none.
func (r *crashRun) killAgain(ctx context.Context) error {
	service, err := r.victim.startArmed(ctx, r.point.name)
	if err != nil {
		return err
	}
	defer service.Kill()
	for {
		// A worker that has just begun does not answer yet.
		if passes, err := r.victim.passes(ctx, r.point.name); err == nil && passes > 0 {
			return service.Kill()
		}
		row, err := r.row(ctx, r.node)
		if err != nil {
			return err
		}
		if r.flow.done(row, r.machine) || r.forgotten(row) {
			return service.Kill()
		}
		if err := pause(ctx, crashPoll); err != nil {
			return fmt.Errorf("waiting for the worker's second end: the node is in %s", row)
		}
	}
}

func (r *crashRun) comeBack(ctx context.Context) error {
	if err := r.victim.service.Start(ctx); err != nil {
		return err
	}
	close(r.back)
	return nil
}

// headStart is how long the victim of a race is away: between just before and just after its peer looks. Each cell has a
// time of its own, the same in every run.
func (r *crashRun) headStart() time.Duration {
	hash := fnv.New32a()
	hash.Write([]byte(r.crashCell.String()))
	return crashTimeout - time.Second + time.Duration(hash.Sum32()%3000)*time.Millisecond
}

// awaitEnd waits for the end of the flow and calls meanwhile, when there is one, with each look at the row.
func (r *crashRun) awaitEnd(ctx context.Context, meanwhile func(crashRow) error) error {
	var row crashRow
	for {
		now, err := r.row(ctx, r.node)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("the node has not reached %s in time: it is in %s", r.flow.target, row)
		case err != nil:
			return err
		}
		row = now
		if r.flow.done(row, r.machine) {
			return nil
		}
		failed := strings.HasSuffix(row.state, " failed") || row.state == "error"
		if failed && row.state != r.flow.from || row.state == r.flow.from && row.lastError != "" {
			return fmt.Errorf("the node is in %s", row)
		}
		if meanwhile != nil {
			if err := meanwhile(row); err != nil {
				return err
			}
		}
		_ = pause(ctx, 5*crashPoll)
	}
}

// judge waits until nothing moves any more and looks whether all is as if nobody had been killed.
func (r *crashRun) judge(ctx context.Context) error {
	var last error
	for began := time.Now(); ; {
		last = r.verdict(ctx)
		if last == nil || time.Since(began) > settleTime/4 || pause(ctx, 10*crashPoll) != nil {
			break
		}
	}
	if last != nil {
		return last
	}
	// What comes twice comes soon.
	if err := pause(ctx, 25*crashPoll); err != nil {
		return err
	}
	return r.verdict(ctx)
}

func (r *crashRun) verdict(ctx context.Context) error {
	row, err := r.row(ctx, r.node)
	if err != nil {
		return err
	}
	if !r.flow.done(row, r.machine) || row.lastError != "" {
		return fmt.Errorf("the node did not stay in %s: it is in %s", r.flow.target, row)
	}
	for _, step := range []string{row.deployStep, row.cleanStep} {
		if step != "" && step != "{}" && !r.flow.keepsStep {
			return fmt.Errorf("the row still names a step: %s", step)
		}
	}
	if err := r.victim.idle(ctx); err != nil {
		return err
	}
	if r.peer != nil {
		if err := r.peer.idle(ctx); err != nil {
			return err
		}
	}
	if r.flow.check != nil {
		if err := r.flow.check(r); err != nil {
			return err
		}
	}
	if got := r.machine.Snapshot(); got.Blind > 0 || r.flow.step != "" && got.Begun[r.flow.step] == 0 {
		return fmt.Errorf("the agent was told the steps %v, %d of them again unread", got.Begun, got.Blind)
	}
	return r.checkEnd()
}

// checkEnd looks for the one notification that the flow has ended. One that was sent twice has the same message id.
func (r *crashRun) checkEnd() error {
	ids := map[string]bool{}
	for _, e := range r.events.of(r.node) {
		if e.kind == "baremetal.node.provision_set.end" && e.state == r.flow.target {
			ids[e.id] = true
		}
	}
	if len(ids) != 1 {
		return fmt.Errorf("%d notifications tell that the node has reached %s", len(ids), r.flow.target)
	}
	return nil
}
