package drivers_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/fake"
	"github.com/ironmaster/ironmaster/drivers/noop"
	"github.com/ironmaster/ironmaster/store"
)

// cards is a network interface with cards that have to run, and everything around it.
type cards struct {
	*noop.Network
	*machine
	drivers.Worker
	did               []string
	needs             bool
	unknown, restarts error
}

func (c *cards) note(what string) { c.did = append(c.did, what) }

func (c *cards) NeedsPower(context.Context, *drivers.Task) (bool, error) { return c.needs, c.unknown }
func (c *cards) AwaitRestart(context.Context, *drivers.Task) error {
	c.note("restarted")
	return c.restarts
}
func (c *cards) Settle(context.Context) error { c.note("settled"); return nil }
func (c *cards) SetPower(_ context.Context, _ *drivers.Task, state string) error {
	c.note(state)
	return nil
}
func (c *cards) Save(context.Context, *drivers.Task) error { c.note("saved"); return nil }

func (*cards) Properties() map[string]string                 { return nil }
func (*cards) Validate(context.Context, *drivers.Task) error { return nil }
func (*cards) Steps(drivers.StepKind) []drivers.Step         { return nil }

// switched is a power interface in a state.
type switched struct {
	*fake.Power
	state string
}

func (s switched) PowerState(context.Context, *drivers.Task) (string, error) { return s.state, nil }

// A machine whose cards have to run is switched on for the change, and off again; others are left as they are.
func TestRewire(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		name               string
		state              string
		plain, needs, left bool
		unknown, restart   error
		fails              error
		want               string
		err                error
	}{
		{name: "no such cards", state: store.PowerOff, want: "one two"},
		{name: "no such network", plain: true, state: store.PowerOff, want: "one two"},
		{name: "off", needs: true, state: store.PowerOff, want: "saved, power on, restarted, one two, settled, power off, saved"},
		{name: "left on by a worker that died", needs: true, left: true, state: store.PowerOn,
			want: "power off, saved, power on, restarted, one two, settled, power off, saved"},
		{name: "left off by a worker that died", needs: true, left: true, state: store.PowerOff,
			want: "saved, power on, restarted, one two, settled, power off, saved"},
		{name: "on", needs: true, state: store.PowerOn, want: "one two"},
		{name: "cards not known", unknown: broken, state: store.PowerOff, err: broken},
		{name: "cards do not restart", needs: true, restart: broken, state: store.PowerOff, want: "saved, power on, restarted, saved", err: broken},
		{name: "the change fails", needs: true, fails: broken, state: store.PowerOff, want: "saved, power on, restarted, one, saved", err: broken},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &machine{}
			n := &cards{Network: noop.NewNetwork(), machine: m, needs: c.needs, unknown: c.unknown, restarts: c.restart}
			task := taskWith(m, &store.Node{UUID: "node"})
			if c.left {
				task.Node.DriverInternalInfo = store.Dict{"ironmaster_on_for_networks": true}
			}
			task.Worker = n
			task.Hardware.Power = switched{fake.NewPower(fake.Config{}), c.state}
			task.Hardware.Network = n
			if c.plain {
				task.Hardware.Network = n.Network
			}
			err := drivers.Rewire(t.Context(), task,
				func(context.Context, *drivers.Task) error { n.note("one"); return c.fails },
				func(context.Context, *drivers.Task) error { n.note("two"); return nil })
			did := strings.ReplaceAll(strings.Join(n.did, ", "), "one, two", "one two")
			if did != c.want || !errors.Is(err, c.err) {
				t.Errorf("did %q (%v), want %q (%v)", did, err, c.want, c.err)
			}
			if len(task.Node.DriverInternalInfo) != 0 {
				t.Errorf("left is %v", task.Node.DriverInternalInfo)
			}
			if on := strings.Contains(c.want, "power on"); on != (m.device == "bios") {
				t.Errorf("the boot device is %q", m.device)
			}
		})
	}
}

// A worker that is stopped in the middle leaves word that the machine is on.
func TestRewireThatIsStopped(t *testing.T) {
	n := &cards{Network: noop.NewNetwork(), machine: &machine{}, needs: true}
	task := taskWith(n.machine, &store.Node{UUID: "node"})
	task.Worker, task.Hardware.Network, task.Hardware.Power = n, n, switched{fake.NewPower(fake.Config{}), store.PowerOff}
	ctx, stop := context.WithCancel(t.Context())
	err := drivers.Rewire(ctx, task, func(context.Context, *drivers.Task) error { stop(); return ctx.Err() })
	if !errors.Is(err, context.Canceled) || !task.Node.DriverInternalInfo.Bool("ironmaster_on_for_networks", false) {
		t.Errorf("%v, driver_internal_info %v", err, task.Node.DriverInternalInfo)
	}
}
