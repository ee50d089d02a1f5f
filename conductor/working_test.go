package conductor

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

// When the lease lapses, whatever is being asked of hardware is cut off: by flows and power actions, by calls that somebody
// waits for, and by periodic work. With the lease renewed it begins again.
func TestALapseCutsOffWhatHardwareIsAsked(t *testing.T) {
	call := func(method string, args map[string]any) func(*worker, *testing.T, *store.Node) {
		return func(w *worker, t *testing.T, n *store.Node) {
			all := map[string]any{"node_id": n.UUID}
			for name, value := range args {
				all[name] = value
			}
			reply := w.call(t, method, all)
			if method == "set_boot_device" && (reply.Failure == nil || reply.Failure.Class != string(store.TemporaryFailure) ||
				!strings.Contains(reply.Failure.Message, "could not renew its registration")) {
				t.Errorf("%s was answered with %+v", method, reply.Failure)
			}
		}
	}
	for _, c := range []struct {
		name string
		ask  func(*worker, *testing.T, *store.Node)
	}{
		{"a power action", call("change_node_power_state", map[string]any{"new_state": store.PowerOff})},
		{"a call that somebody waits for", call("set_boot_device", map[string]any{"device": "pxe"})},
		{"periodic work", func(w *worker, t *testing.T, _ *store.Node) {
			if err := w.syncPowerStates(w.working()); err != nil {
				t.Error(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := startWorker(t, func(c *Config) { c.HeartbeatInterval = time.Hour })
			n := w.enroll(t, func(n *store.Node) { n.ProvisionState, n.PowerState = store.Manageable, store.PowerOn })
			asked, cut := make(chan struct{}, 1), make(chan struct{}, 1)
			hang := func(ctx context.Context) error {
				asked <- struct{}{}
				<-ctx.Done()
				cut <- struct{}{}
				return context.Cause(ctx)
			}
			w.script.use(behaviour{setBootDevice: hang, setPower: func(ctx context.Context, _ string) error { return hang(ctx) },
				powerStateOf: func(ctx context.Context, n *store.Node) (string, error) {
					if c.name != "periodic work" {
						return n.PowerState, nil
					}
					return "", hang(ctx)
				}})
			done := make(chan struct{})
			go func() {
				defer close(done)
				c.ask(w, t, n)
			}()
			<-asked
			w.clock.forward(46 * time.Second) // of 60, less the margin
			<-cut
			<-done
			w.answered(t)
			if got := w.row(t, n.UUID); got.PowerState != store.PowerOn || got.Maintenance {
				t.Errorf("the node is %q, in maintenance %v", got.PowerState, got.Maintenance)
			}
			w.script.use(behaviour{})
			w.lease.renew(w.clock.uptime())
			w.must(t, "set_boot_device", map[string]any{"node_id": n.UUID, "device": "pxe"})
			if err := w.working().Err(); err != nil {
				t.Errorf("with a renewed lease: %v", err)
			}
		})
	}
}

// However many calls wait for slow BMCs, the transport takes others meanwhile.
func TestCallsThatWaitForABMCStandAside(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, nil)
	aside, release := make(chan struct{}), make(chan struct{})
	w.script.use(behaviour{setBootDevice: func(context.Context) error {
		<-release
		return nil
	}})
	take := w.handle
	w.handle = func(ctx context.Context, m Message) {
		take(messaging.WithPlace(ctx, sync.OnceFunc(func() { close(aside) })), m)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.must(t, "set_boot_device", map[string]any{"node_id": n.UUID, "device": "pxe"})
	}()
	<-aside
	close(release)
	<-done
}
