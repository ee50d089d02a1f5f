package conductor

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/go-crypt/crypt/algorithm/shacrypt"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

func waits(*drivers.Task) (drivers.Outcome, error) { return drivers.Waiting, nil }

// withPassword is a node in the middle of a rescue.
func withPassword(n *store.Node) {
	n.InstanceInfo = store.Dict{drivers.KeyRescuePassword: "open sesame", drivers.KeyHashedRescuePassword: "$5$salt$hash"}
}

func keepsPassword(n *store.Node) bool {
	_, plain := n.InstanceInfo[drivers.KeyRescuePassword]
	_, hashed := n.InstanceInfo[drivers.KeyHashedRescuePassword]
	return plain || hashed
}

func (w *worker) rescues(t *testing.T, n *store.Node) {
	t.Helper()
	w.must(t, "do_node_rescue", map[string]any{"node_id": n.UUID, "rescue_password": "open sesame"})
}

func TestARescueFromRequestToEnd(t *testing.T) {
	w := startWorker(t, nil)
	w.script.use(behaviour{rescue: waits})
	n := w.enroll(t, func(n *store.Node) {
		n.ProvisionState, n.PowerState = store.Active, store.PowerOn
		n.DriverInternalInfo = store.Dict{"agent_url": "http://192.0.2.1", "agent_secret_token": "old"}
	})
	w.rescues(t, n)
	got := w.settled(t, n.UUID, store.RescueWait)
	equal(t, "target", got.TargetProvisionState, store.Rescue)
	equal(t, "password", got.InstanceInfo.String(drivers.KeyRescuePassword), "open sesame")
	equal(t, "token of the last agent", got.DriverInternalInfo.String(keyAgentToken), "")

	w.exec(t, `UPDATE nodes SET driver_internal_info = '{"agent_secret_token": "abc"}' WHERE id = ?`, n.ID)
	w.must(t, "heartbeat", map[string]any{"node_id": n.UUID, "callback_url": "http://127.0.0.1:9999", "agent_version": "9.1",
		"agent_token": "abc"})
	got = w.settled(t, n.UUID, store.Rescue)
	equal(t, "did", strings.Join(w.script.did("rescue", "agent.finalize rescue", "rescue.clean up"), ", "),
		"rescue, agent.finalize rescue, rescue.clean up")
	equal(t, "mark", mark(got) == nil, true)

	w.must(t, "do_node_unrescue", map[string]any{"node_id": n.UUID})
	got = w.settled(t, n.UUID, store.Active)
	equal(t, "token", got.DriverInternalInfo.String(keyAgentToken), "")
	equal(t, "agent", got.DriverInternalInfo.String(keyAgentURL), "")
	w.bus.waitFor(t, func(types []string) bool {
		ends := 0
		for _, typ := range types {
			if typ == "baremetal.node.deploy_progress.end" {
				ends++
			}
		}
		return ends == 2
	})
	w.unlocked(t)
}

func TestAFakeRescueIsThereAtOnce(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Active })
	w.rescues(t, n)
	got := w.settled(t, n.UUID, store.Rescue)
	equal(t, "target", got.TargetProvisionState, "")
	equal(t, "the password stays, as with ironic", keepsPassword(got), true)
}

func TestRescueRefusals(t *testing.T) {
	w := startWorker(t, nil)
	invalid := store.Errorf(store.InvalidParameterValue, "no BMC")
	unsupported := store.Errorf(store.UnsupportedDriverExtension, "no rescue")
	for _, c := range []struct {
		name  string
		node  func(*store.Node)
		acts  behaviour
		class store.Kind
		text  string
	}{
		{name: "maintenance", node: func(n *store.Node) { n.Maintenance = true }, class: store.NodeInMaintenance,
			text: "The rescuing operation can't be performed on node %s because it's in maintenance mode."},
		{name: "state", node: func(n *store.Node) { n.ProvisionState = store.Available }, class: store.InvalidStateRequested,
			text: `The requested action "rescue" can not be performed on node "%s" while it is in state "available".`},
		{name: "power", acts: behaviour{powerValidate: func() error { return invalid }}, class: store.InstanceRescueFailure,
			text: "Failed to rescue instance None for node %s: Validation failed: no BMC"},
		{name: "rescue interface", acts: behaviour{rescueValidate: func(*drivers.Task) error { return unsupported }},
			class: store.InstanceRescueFailure, text: "Failed to rescue instance None for node %s: Validation failed: no rescue"},
		{name: "network", acts: behaviour{networkValidate: func() error { return invalid }}, class: store.InstanceRescueFailure,
			text: "Failed to rescue instance None for node %s: Validation failed: no BMC"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.script.use(c.acts)
			n := w.enroll(t, func(n *store.Node) {
				n.ProvisionState = store.Active
				if c.node != nil {
					c.node(n)
				}
			})
			equal(t, "refusal", w.refused(t, c.class, "do_node_rescue", map[string]any{"node_id": n.UUID, "rescue_password": "x"}),
				withNode(c.text, n.UUID))
			got := w.row(t, n.UUID)
			equal(t, "state", got.ProvisionState, n.ProvisionState)
			equal(t, "password", keepsPassword(got), false)
		})
	}
	w.refused(t, store.NodeNotFound, "do_node_rescue", map[string]any{"node_id": "33333333-3333-3333-3333-333333333333",
		"rescue_password": "x"})
	w.unlocked(t)
}

func TestUnrescueRefusals(t *testing.T) {
	w := startWorker(t, nil)
	invalid := store.Errorf(store.InvalidParameterValue, "no BMC")
	enroll := func(change func(*store.Node)) map[string]any {
		return map[string]any{"node_id": w.enroll(t, func(n *store.Node) {
			n.ProvisionState = store.Rescue
			change(n)
		}).UUID}
	}
	w.refused(t, store.NodeInMaintenance, "do_node_unrescue", enroll(func(n *store.Node) { n.Maintenance = true }))
	w.refused(t, store.InvalidStateRequested, "do_node_unrescue", enroll(func(n *store.Node) { n.ProvisionState = store.Active }))
	w.script.use(behaviour{powerValidate: func() error { return invalid }})
	args := enroll(func(n *store.Node) { n.InstanceUUID = "11111111-1111-1111-1111-111111111111" })
	equal(t, "refusal", w.refused(t, store.InstanceUnrescueFailure, "do_node_unrescue", args),
		"Failed to unrescue instance 11111111-1111-1111-1111-111111111111 for node "+args["node_id"].(string)+
			": Validation failed: no BMC")
	w.unlocked(t)
}

func TestRescuesThatFail(t *testing.T) {
	w := startWorker(t, nil)
	smoke := errors.New("smoke")
	refused := store.Errorf(store.AgentAPIError, "no such command")
	fails := func(*drivers.Task) error { return smoke }
	for _, c := range []struct {
		name, from string
		acts       behaviour
		ask        string
		state      string
		text       string
		did        string
	}{
		{name: "a rescue interface", from: store.Active, ask: "do_node_rescue", state: store.RescueFail, text: "Failed to rescue: smoke",
			acts: behaviour{rescue: func(*drivers.Task) (drivers.Outcome, error) { return drivers.Done, smoke }}, did: "rescue"},
		{name: "an unrescue", from: store.Rescue, ask: "do_node_unrescue", state: store.UnrescueFail, text: "Failed to unrescue: smoke",
			acts: behaviour{unrescue: fails}, did: "unrescue"},
		{name: "an agent that refuses", from: store.RescueWait, ask: "heartbeat", state: store.RescueFail,
			acts: behaviour{finalize: func(*drivers.Task) error { return refused }},
			text: "Node failed to perform rescue operation: no such command",
			did:  "agent.finalize rescue, power power off, rescue.clean up"},
		{name: "a ramdisk that stays", from: store.RescueWait, ask: "heartbeat", state: store.RescueFail,
			acts: behaviour{rescueCleanUp: fails},
			text: "Rescue failed, but an unhandled exception was encountered while aborting: smoke",
			did:  "agent.finalize rescue, rescue.clean up, power power off, rescue.clean up"},
		{name: "a tenant's network", from: store.RescueWait, ask: "heartbeat", state: store.RescueFail,
			acts: behaviour{tenants: fails}, text: "Node failed to perform rescue operation: smoke",
			did: "agent.finalize rescue, rescue.clean up, power power off, rescue.clean up"},
		{name: "a node that can't be switched off either", from: store.RescueWait, ask: "heartbeat", state: store.RescueFail,
			acts: behaviour{finalize: func(*drivers.Task) error { return refused }, setPower: func(context.Context, string) error {
				return store.Errorf(store.RedfishError, "no answer")
			}},
			text: "Rescue operation was unsuccessful, clean up failed for node: no answer", did: "agent.finalize rescue, power power off"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.script.use(c.acts)
			n := w.waiting(t, c.from, func(n *store.Node) {
				n.PowerState = store.PowerOn
				if c.from == store.RescueWait {
					withPassword(n)
				}
			})
			args := map[string]any{"node_id": n.UUID}
			switch c.ask {
			case "do_node_rescue":
				args["rescue_password"] = "open sesame"
			case "heartbeat":
				args = beatArgs(n)
			}
			w.must(t, c.ask, args)
			got := w.settled(t, n.UUID, c.state)
			equal(t, "last error", got.LastError, c.text)
			equal(t, "password", keepsPassword(got), false)
			equal(t, "agent", got.DriverInternalInfo.String(keyAgentURL), "")
			equal(t, "did", strings.Join(w.script.did("rescue", "unrescue", "agent.finalize rescue", "rescue.clean up",
				"power power off"), ", "), c.did)
		})
	}
	w.unlocked(t)
}

func TestRescuesAreAborted(t *testing.T) {
	w := startWorker(t, nil)
	abort := func(n *store.Node) {
		w.must(t, "do_provisioning_action", map[string]any{"node_id": n.UUID, "action": "abort"})
	}
	n := w.waiting(t, store.RescueWait, withPassword)
	abort(n)
	got := w.settled(t, n.UUID, store.RescueFail)
	equal(t, "last error", got.LastError, "")
	equal(t, "maintenance", got.Maintenance, false)
	equal(t, "password", keepsPassword(got), false)
	equal(t, "did", strings.Join(w.script.did(), ", "), "rescue.clean up")

	w.script.use(behaviour{rescueCleanUp: func(*drivers.Task) error { return errors.New("smoke") }})
	n = w.waiting(t, store.RescueWait, withPassword)
	abort(n)
	got = w.settled(t, n.UUID, store.RescueFail)
	equal(t, "last error", got.LastError, rescueAbortFailed)
	equal(t, "maintenance", got.Maintenance, true)
	equal(t, "reason", *got.MaintenanceReason, rescueAbortFailed)
	equal(t, "fault", got.Fault, "rescue abort failure")
	equal(t, "password", keepsPassword(got), false)
	w.unlocked(t)
}

// What a rescue that has failed or was aborted leaves in the row tells the next start that nobody has cleaned up.
func TestAFailedRescueThatWasCutShortIsEnded(t *testing.T) {
	for _, c := range []struct{ name, lastError, want, did string }{
		{"aborted", rescueAborted, "", "rescue.clean up"},
		{"timed out", "", "The operation failed, and its conductor was lost before it had left the node in order",
			"power power off, rescue.clean up"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, nil)
			n := &store.Node{Driver: "fake-hardware", ProvisionState: store.RescueFail, LastError: c.lastError,
				PowerState: store.PowerOn, Reservation: r.cfg.Host}
			withPassword(n)
			first := r.start(t)
			first.stop()
			if _, err := first.hardware.Fill(n); err != nil {
				t.Fatal(err)
			}
			if err := r.db.CreateNode(t.Context(), n); err != nil {
				t.Fatal(err)
			}
			r.script.use(behaviour{})
			w := r.start(t)
			waitUntil(t, "the password is gone", func() bool { return !keepsPassword(w.row(t, n.UUID)) })
			w.unlocked(t)
			equal(t, "last error", w.row(t, n.UUID).LastError, c.want)
			equal(t, "did", strings.Join(w.script.did("power power off", "rescue.clean up"), ", "), c.did)
		})
	}
}

// The agent of a rescue answers nobody once it has taken the password, so what became of it can't be asked.
func TestARescueGoesOnAfterItsPasswordWasSent(t *testing.T) {
	gone := drivers.RescueFailure(&store.Node{}, "%w", store.Errorf(store.AgentConnectionFailed, "nobody"))
	for _, c := range []struct {
		name  string
		sent  bool
		acts  behaviour
		state string
		did   string
	}{
		{"before it was sent", false, behaviour{}, store.RescueWait, ""},
		{"to an agent that did not take it", true, behaviour{}, store.Rescue, "agent.finalize rescue, rescue.clean up"},
		{"to one that is gone", true, behaviour{finalize: func(*drivers.Task) error { return gone }}, store.RescueWait,
			"agent.finalize rescue, agent.reboot"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := startWorker(t, nil)
			w.script.use(c.acts)
			n := w.waiting(t, store.RescueWait, func(n *store.Node) {
				withPassword(n)
				n.DriverInternalInfo[keyAgentURL] = "http://192.0.2.1"
				m := store.Dict{markHost: w.cfg.Host}
				if c.sent {
					m[markStep] = "worker-1/1"
				}
				n.DriverInternalInfo[keyEpoch] = m
			})
			if err := w.awaitAgain(t.Context(), n); err != nil {
				t.Fatal(err)
			}
			w.unlocked(t)
			got := w.settled(t, n.UUID, c.state)
			equal(t, "password for the next agent", c.state == store.Rescue || keepsPassword(got), true)
			equal(t, "did", strings.Join(w.script.did("agent.finalize rescue", "agent.reboot", "rescue.clean up"), ", "), c.did)
		})
	}
}

func TestPasswordsAreHashedAsShadowFilesTakeThem(t *testing.T) {
	recorded, err := shacrypt.Decode("$5$zOUuEdg3hJdfn.uO$J5DQw09KxrkfKPE3GK2q.9oQWWy/Zx1KJcTYjI8xx71")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "match of a hash of ironic's", recorded.Match("secret"), true)
	for algorithm, prefix := range map[string]string{"sha256": "$5$", "sha512": "$6$"} {
		hashed, err := hashPassword("open sesame", algorithm)
		if err != nil {
			t.Fatal(err)
		}
		parts := strings.Split(hashed, "$")
		if len(parts) != 4 || !strings.HasPrefix(hashed, prefix) || len(parts[2]) != 16 {
			t.Fatalf("%s gives %q", algorithm, hashed)
		}
		digest, err := shacrypt.Decode(hashed)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "match", digest.Match("open sesame"), true)
		equal(t, "match of another", digest.Match("open sesam"), false)
		again, err := hashPassword("open sesame", algorithm)
		equal(t, "the same hash again", err == nil && again == hashed, false)
	}
}
