package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
	"github.com/ironmaster/ironmaster/drivers"
)

const (
	workers = 3
	// atOnce is how many deployments are under way at any time.
	atOnce = 40
	// slowness is how late a slow BMC answers. Conductors wait for longer.
	slowness = 1500 * time.Millisecond
)

// runStorm is the command storm.
func runStorm(ctx context.Context, args []string) (err error) {
	f := newFlags("storm", 200)
	length := f.Duration("duration", 5*time.Minute, "how long something happens")
	if err := f.Parse(args); err != nil {
		return err
	}
	p, err := f.prepare()
	if err != nil {
		return err
	}
	s := &storm{diary: &diary{out: os.Stdout, began: time.Now()}, program: p, dir: f.dir, machines: f.machines, seed: f.seed, length: *length}
	return s.run(ctx)
}

// storm lets workers deploy while a plan befalls them.
type storm struct {
	*diary
	program  program
	dir      string
	machines int
	seed     uint64
	length   time.Duration

	site       *site
	affliction affliction
	nodes      []string

	mu      sync.Mutex
	figures figures
	tally   tally
	// wrong is what must not have happened.
	wrong []string
}

func (s *storm) run(ctx context.Context) (err error) {
	s.say("seed %d: starting RabbitMQ, MariaDB, ironic-api, %d workers and a room of %d machines", s.seed, workers, s.machines)
	if s.site, err = openSite(ctx, s.dir, s.machines, s.seed, nil); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.site.close()) }()
	for n := range workers {
		h, err := s.site.addHost(ctx, fmt.Sprintf("worker-%d", n+1), s.program, true)
		if err != nil {
			return err
		}
		if _, err := h.start(ctx); err != nil {
			return err
		}
	}
	for _, h := range s.site.hosts {
		if err := h.awaitRegistered(ctx); err != nil {
			return err
		}
	}
	if s.nodes, err = s.site.enrolAll(ctx); err != nil {
		return err
	}
	if err := s.afflictMachines(); err != nil {
		return err
	}
	supervised, stop := context.WithCancel(ctx)
	var supervising sync.WaitGroup
	for _, h := range s.site.hosts {
		supervising.Go(func() { h.supervise(supervised) })
	}
	err = s.rage(ctx)
	if err == nil {
		err = s.reckon(ctx)
	}
	stop()
	supervising.Wait()
	return err
}

// afflictMachines makes BMCs silent and slow.
func (s *storm) afflictMachines() error {
	s.affliction = afflict(s.seed, s.machines)
	for _, group := range []struct {
		machines []int
		faults   room.Faults
	}{{s.affliction.silent, room.Faults{Silent: 1}}, {s.affliction.slow, room.Faults{Slow: 1, SlowBy: slowness}}} {
		for _, n := range group.machines {
			if err := s.site.room.Machines()[n].Strike(group.faults); err != nil {
				return err
			}
		}
	}
	s.say("%d BMCs fall silent and %d become slow", len(s.affliction.silent), len(s.affliction.slow))
	return nil
}

// rage lets the plan happen while users deploy, tear down and deploy again, and returns when nothing moves any more.
func (s *storm) rage(ctx context.Context) error {
	began := time.Now()
	all, ctx := errgroup.WithContext(ctx)
	over := make(chan struct{})
	all.Go(func() error {
		defer close(over)
		return s.strikeAll(ctx, began)
	})
	queue := make(chan int, s.machines)
	for n := range s.machines {
		queue <- n
	}
	for range min(atOnce, s.machines) {
		all.Go(func() error { return s.use(ctx, queue, over) })
	}
	return all.Wait()
}

// strikeAll does what the plan says, and mends it.
func (s *storm) strikeAll(ctx context.Context, began time.Time) error {
	all, raging := errgroup.WithContext(ctx)
	for _, strike := range plan(s.seed, s.length, workers) {
		if drivers.Pause(raging, time.Until(began.Add(strike.at))) != nil {
			break
		}
		s.say("%s", strike)
		all.Go(func() error {
			if err := s.strike(raging, strike); err != nil {
				return fmt.Errorf("%s: %w", strike, err)
			}
			return nil
		})
	}
	err := all.Wait()
	if err == nil {
		err = drivers.Pause(ctx, time.Until(began.Add(s.length)))
	}
	s.say("all is mended")
	return err
}

// strike lets one ill last for its time.
func (s *storm) strike(ctx context.Context, what strike) error {
	h := s.site.hosts[what.host]
	var begin, end func() error
	quietly := func(do func()) func() error {
		return func() error {
			do()
			return nil
		}
	}
	switch what.ill {
	case killWorker:
		var k *kill
		begin = func() (err error) {
			k, err = s.kill(ctx, h)
			return err
		}
		end = func() (err error) {
			back, err := h.start(ctx)
			s.mu.Lock()
			defer s.mu.Unlock()
			k.back = back
			return err
		}
	case restartBroker:
		begin, end = s.site.lab.RabbitMQ.Kill, func() error { return s.site.lab.RabbitMQ.Start(ctx) }
	case restartDatabase:
		begin, end = s.site.lab.Database.Kill, func() error { return s.site.lab.Database.Start(ctx) }
	case cutBroker:
		begin, end = quietly(h.broker.Cut), quietly(h.broker.Heal)
	case cutDatabase:
		begin, end = quietly(h.database.Cut), quietly(h.database.Heal)
	case silenceBroker:
		begin, end = quietly(h.broker.Silence), quietly(h.broker.Heal)
	case silenceDatabase:
		begin, end = quietly(h.database.Silence), quietly(h.database.Heal)
	}
	if err := begin(); err != nil {
		return err
	}
	if err := drivers.Pause(ctx, what.last); err != nil {
		return err
	}
	return end()
}

// kill ends a worker and notes what that interrupted, if the database is there to tell.
func (s *storm) kill(ctx context.Context, h *host) (*kill, error) {
	at, err := h.kill()
	if err != nil {
		return nil, err
	}
	// While the database is away nothing is known of what was interrupted.
	rows, _ := s.site.rows(ctx)
	k := newKill(h.name, at, rows)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.figures.killsMade = append(s.figures.killsMade, k)
	return k, nil
}

// use is a user: deploys the next machine and tears it down when it is active, until the storm is over. What is under way then
// comes to its end.
func (s *storm) use(ctx context.Context, queue chan int, over <-chan struct{}) error {
	for {
		select {
		case <-over:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		default:
		}
		var n int
		select {
		case n = <-queue:
		case <-over:
			return nil
		}
		again, err := s.deploy(ctx, n, over)
		if err != nil {
			return err
		}
		if again {
			queue <- n
		}
	}
}

// deploy takes one machine from available to active and back. It returns false when the machine cannot be used any more, or
// stays active for the storm is over.
func (s *storm) deploy(ctx context.Context, n int, over <-chan struct{}) (again bool, err error) {
	node, began := s.nodes[n], time.Now()
	if err := s.site.order(ctx, node, "active", "available"); err != nil {
		return false, err
	}
	r, err := s.awaitRest(ctx, node, over)
	if err != nil {
		return false, err
	}
	if err := s.judge(ctx, n, r, began); err != nil || r.state != "active" || r.moving() {
		return false, err
	}
	select {
	case <-over:
		return false, nil
	default:
	}
	if err := s.site.order(ctx, node, "deleted", "active"); err != nil {
		return false, err
	}
	if r, err = s.awaitRest(ctx, node, over); err != nil {
		return false, err
	}
	if r.state != "available" || r.moving() {
		return false, s.complain(ctx, n, r, began, fmt.Sprintf("its tear-down ended in %q, held by %q: %s", r.state, r.holder, r.failure))
	}
	return true, s.site.choose(ctx, node, s.site.instance(n))
}

// awaitRest waits until a node does not move, or has not moved for quietTime since the storm is over. Before that a flow may be
// struck again and again, and only begin anew each time. The database may be away meanwhile.
func (s *storm) awaitRest(ctx context.Context, node string, over <-chan struct{}) (row, error) {
	var last row
	since := time.Now()
	for {
		select {
		case <-over:
		default:
			since = time.Now()
		}
		if err := drivers.Pause(ctx, pollPause); err != nil {
			return last, err
		}
		now, err := s.site.row(ctx, node)
		switch {
		case err != nil:
			since = time.Now()
		case !now.moving():
			return now, nil
		case !now.at(last):
			last, since = now, time.Now()
		case time.Since(since) > quietTime:
			return now, nil
		}
	}
}

// judge counts what came of a deployment.
func (s *storm) judge(ctx context.Context, n int, r row, began time.Time) error {
	machine := s.site.room.Machines()[n]
	looked, blind := rewrites(machine.ImageWrites(), began)
	sum := tally{deployments: 1, rewritten: looked, blind: blind}
	problem := ""
	switch {
	case r.moving():
		sum.left = 1
		problem = fmt.Sprintf("its deployment was left behind in %q, held by %q", r.state, r.holder)
	case r.state == "active":
		sum.active = 1
		if got, err := machine.DiskSHA256(s.site.image.Size); err != nil || got != s.site.image.SHA256 {
			sum.wrong = 1
			problem = "its disk is not the image"
		}
	case slices.Contains(s.affliction.silent, n):
		sum.failed = 1
		s.say("machine %d, whose BMC is silent: %s: %s", n, r.state, reasonOf(r.failure))
	default:
		sum.failed = 1
		problem = fmt.Sprintf("its deployment ended in %q: %s", r.state, r.failure)
	}
	if blind > 0 {
		problem += " its image was written again blindly"
	}
	s.mu.Lock()
	s.tally.add(sum)
	s.mu.Unlock()
	if problem == "" {
		return nil
	}
	return s.complain(ctx, n, r, began, problem)
}

// complain keeps what must not have happened to a machine.
func (s *storm) complain(ctx context.Context, n int, r row, began time.Time, problem string) error {
	problem = fmt.Sprintf("machine %d: %s", n, problem)
	s.say("WRONG: %s", problem)
	s.mu.Lock()
	s.wrong = append(s.wrong, problem)
	number := len(s.wrong)
	s.mu.Unlock()
	return s.site.keepEvidence(ctx, fmt.Sprintf("wrong-%d", number), began, s.nodes[n], r, problem)
}

// reckon tells how it went. It returns an error unless all went as it must.
func (s *storm) reckon(ctx context.Context) error {
	rows, err := s.site.settle(ctx)
	if err != nil {
		return err
	}
	if s.tally.locks, err = s.site.locksLeft(ctx, rows); err != nil {
		return err
	}
	own, taken := 0, 0
	for _, h := range s.site.hosts {
		found, err := readResumes(h.service.LogFile(), h.name)
		if err != nil {
			return err
		}
		for _, r := range found {
			if r.kind == kindTakeover {
				taken++
			} else {
				own++
			}
		}
		s.figures.resumes = append(s.figures.resumes, found...)
	}
	s.figures.account()
	seconds := func(values []time.Duration, percent int) string {
		if len(values) == 0 {
			return "-"
		}
		return fmt.Sprintf("%.1f s", percentile(values, percent).Seconds())
	}
	fmt.Fprintf(s.out, "\nseed %d, %d workers, %d machines, %s\n", s.seed, workers, s.machines, s.length)
	fmt.Fprintf(s.out, "kills %d, resumes %d by the worker itself, %d by peers\n", s.figures.kills, own, taken)
	fmt.Fprintf(s.out, "from kill to takeover: p50 %s, p99 %s; from process back to resumed: p50 %s, p99 %s\n",
		seconds(s.figures.takeover, 50), seconds(s.figures.takeover, 99), seconds(s.figures.sameFromBack, 50),
		seconds(s.figures.sameFromBack, 99))
	fmt.Fprintf(s.out, "deployments: %s\n", s.tally)
	for _, problem := range s.wrong {
		fmt.Fprintf(s.out, "WRONG: %s\n", problem)
	}
	if len(s.wrong) > 0 || s.tally.locks > 0 {
		return fmt.Errorf("%d things, %d locks left: %w", len(s.wrong), s.tally.locks, errShort)
	}
	return nil
}
