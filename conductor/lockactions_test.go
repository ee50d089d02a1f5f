package conductor

import (
	"context"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/ironmaster/ironmaster/messaging/oslo"
)

// The actions of TestTheLockProtocol. One that has nothing to act on is left out.

// choose draws one of some.
func choose[T any](rt *rapid.T, from []T, label string) T {
	if len(from) == 0 {
		rt.Skip("none")
	}
	return from[rapid.IntRange(0, len(from)-1).Draw(rt, label)]
}

func (w *lockWorld) process(rt *rapid.T) *lockProcess { return choose(rt, w.processes, "process") }

// current is the process of a host that is no ghost.
func (w *lockWorld) current(host string) *lockProcess {
	for _, p := range w.processes {
		if p.host == host && !p.ghost {
			return p
		}
	}
	return nil
}

// upheaval ends or begins a process.
func (w *lockWorld) upheaval(rt *rapid.T) {
	rapid.SampledFrom([]func(*rapid.T){w.start, w.kill, w.stop}).Draw(rt, "of")(rt)
}

// start starts a host. If it runs it is started with another file, and its old process goes on.
func (w *lockWorld) start(rt *rapid.T) {
	host := choose(rt, lockHosts, "host")
	if old := w.current(host); old != nil {
		old.ghost = true
		w.hosts[host] = w.newFile()
	}
	w.open(rt, host)
}

// underWay tells that the operation that went on last has not come to its end.
func (w *lockWorld) underWay() bool { return slices.Contains(w.running.process.operations, w.running) }

func (w *lockWorld) kill(rt *rapid.T) { w.die(w.process(rt)) }

// stop is SIGTERM.
func (w *lockWorld) stop(rt *rapid.T) {
	p := w.process(rt)
	w.finish(p)
	p.Conductor.stop(func() {}, &p.background)
	w.die(p)
}

// lock begins to take the node, or to read it. The caller may go away in the middle.
func (w *lockWorld) lock(rt *rapid.T) {
	switch rapid.SampledFrom([]string{"take", "take", "take", "abandon", "read"}).Draw(rt, "how") {
	case "take":
		w.take(rt, w.t.Context())
	case "abandon":
		ctx, cancel := context.WithCancel(w.t.Context())
		w.take(rt, &endingContext{ctx, rapid.IntRange(0, 20).Draw(rt, "looks"), cancel})
	case "read":
		w.read(rt)
	}
	w.through(rt)
}

// through lets the operation that has begun come to its end before anything else happens, or not.
func (w *lockWorld) through(rt *rapid.T) {
	for rapid.IntRange(0, 3).Draw(rt, "through") > 0 && w.underWay() {
		w.proceed(w.running)
	}
}

// endingContext ends when it was looked at a number of times.
type endingContext struct {
	context.Context
	looks int
	end   context.CancelFunc
}

func (c *endingContext) Err() error {
	if c.looks--; c.looks < 0 {
		c.end()
	}
	return c.Context.Err()
}

func (w *lockWorld) take(rt *rapid.T, ctx context.Context) {
	p := w.process(rt)
	var held *task
	w.begin(p, "lock", func() (err error) {
		held, err = p.lockExclusive(ctx, oslo.AdminContext(), w.node.UUID, lockMode{purpose: "a test", noDriver: true})
		return err
	}, func(err error) {
		if err == nil {
			p.tasks = append(p.tasks, &lockTask{task: held, number: w.running.number})
		}
	})
}

func (w *lockWorld) read(rt *rapid.T) {
	p := w.process(rt)
	var held *task
	w.begin(p, "read", func() (err error) {
		held, err = p.lockShared(w.t.Context(), oslo.AdminContext(), w.node.UUID, "a test")
		return err
	}, func(err error) {
		if err != nil {
			w.t.Errorf("reading node %s: %v", w.node.UUID, err)
			return
		}
		p.tasks = append(p.tasks, &lockTask{task: held})
	})
}

func (w *lockWorld) upgrade(rt *rapid.T) {
	p := w.process(rt)
	held := choose(rt, slices.DeleteFunc(slices.Clone(p.tasks), func(held *lockTask) bool { return !held.Shared }), "reader")
	p.tasks = slices.DeleteFunc(p.tasks, func(other *lockTask) bool { return other == held })
	w.begin(p, "upgrade", func() error { return held.upgrade(w.t.Context(), "a test", 1) }, func(error) {
		// One that was refused is a reader still.
		held.number, held.cut = w.running.number, false
		p.tasks = append(p.tasks, held)
	})
}

// save writes a node, and holds that this takes effect for its latest holder alone. The write of one that was replaced fails.
func (w *lockWorld) save(rt *rapid.T) {
	p := w.process(rt)
	held := choose(rt, p.tasks, "task")
	if held.Shared {
		rt.Skip("a reader")
	}
	held.Node.LastError += "."
	w.running = nil
	err := held.save(w.t.Context())
	switch {
	case err == nil && held.number != w.taken:
		rt.Fatalf("%s wrote the node as its %d. holder, after the %d. had taken it", p.host, held.number, w.taken)
	case err != nil && !lost(err):
		rt.Fatal(err)
	case err != nil && held.number == w.taken && !p.ghost:
		rt.Fatalf("%s holds the node and cannot write it: %v", p.host, err)
	}
}

func (w *lockWorld) release(rt *rapid.T) {
	p := w.process(rt)
	w.giveBack(p, choose(rt, p.tasks, "task"))
	w.through(rt)
}

func (w *lockWorld) goOn(rt *rapid.T) { w.proceed(choose(rt, w.process(rt).operations, "operation")) }

func (w *lockWorld) signOfLife(rt *rapid.T) {
	p := w.process(rt)
	if p.lease.lost.Load() {
		rt.Skip("it knows that it is a ghost")
	}
	err := p.renew(w.t.Context())
	if (err != nil) != p.ghost {
		rt.Fatalf("%s, a ghost: %v, renews its row: %v", p.host, p.ghost, err)
	}
}

func (w *lockWorld) timePasses(rt *rapid.T) {
	w.base.clock.forward(time.Duration(rapid.SampledFrom([]int{5, 20, 40, 70}).Draw(rt, "seconds")) * time.Second)
}

func (w *lockWorld) takeOver(rt *rapid.T) {
	w.adopt(w.process(rt))
	w.through(rt)
}

// adopt frees nodes from workers that are gone, a point before each.
func (w *lockWorld) adopt(p *lockProcess) {
	w.begin(p, "take over", func() error {
		gone, err := p.goneConductors(w.t.Context())
		if err != nil {
			return err
		}
		for _, g := range gone {
			w.point("before the take over")
			taken, err := p.db.TakeOver(w.t.Context(), w.node.ID, g, "")
			if err != nil {
				return err
			}
			if taken {
				w.robbed = append(w.robbed, w.acting()...)
				w.holderChanged()
			}
		}
		return nil
	}, func(err error) {
		if err != nil {
			w.t.Errorf("%s takes over: %v", p.host, err)
		}
	})
}
