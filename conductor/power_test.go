package conductor

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

func TestPowerActions(t *testing.T) {
	w := startWorker(t, nil)
	broken := errors.New("the BMC is on fire")
	start, end, failed := "power_set.start", "power_set.end", "power_set.error"
	for _, c := range []struct {
		name       string
		recorded   string // in the row
		actual     string // of the BMC
		state      string // provision state
		requested  string
		acts       behaviour
		power      string
		lastError  string
		done       string // what was asked of the BMC, "" for nothing
		events     []string
		keepsAgent bool
	}{
		{name: "on", recorded: "power off", requested: "power on", power: "power on", done: "power power on",
			events: []string{start, end}, keepsAgent: true},
		{name: "on while it is on", recorded: "power off", actual: "power on", requested: "power on", power: "power on",
			events: []string{start, end}, keepsAgent: true},
		{name: "off", recorded: "power on", requested: "power off", power: "power off", done: "power power off",
			events: []string{start, end}},
		{name: "off while it is off", recorded: "power on", actual: "power off", requested: "power off", power: "power off",
			events: []string{start, end}},
		{name: "off softly", recorded: "power on", requested: "soft power off", power: "power off",
			done: "power soft power off", events: []string{start, end}},
		{name: "reboot", recorded: "power on", requested: "rebooting", power: "power on", done: "power rebooting",
			events: []string{start, end}},
		{name: "reboot while it is off", recorded: "power off", requested: "rebooting", power: "power on",
			done: "power rebooting", events: []string{start, end}},
		{name: "reboot softly", recorded: "power on", requested: "soft rebooting", power: "power on",
			done: "power soft rebooting", events: []string{start, end}},
		{name: "the BMC can't be read", recorded: "power on", requested: "power off", power: "power on",
			acts:      behaviour{powerState: func() (string, error) { return "", broken }},
			lastError: "Failed to change power state to 'power off': the BMC is on fire",
			events:    []string{start, failed}, keepsAgent: true},
		{name: "the BMC does not obey", recorded: "power on", requested: "power off", power: "power on",
			acts:      behaviour{setPower: func(context.Context, string) error { return broken }},
			lastError: "Failed to change power state to 'power off' by 'power off': the BMC is on fire",
			done:      "power power off", events: []string{start, failed}},
		{name: "a reboot fails", recorded: "power on", requested: "rebooting", power: "power on",
			acts:      behaviour{setPower: func(context.Context, string) error { return broken }},
			lastError: "Failed to change power state to 'power on' by 'rebooting': the BMC is on fire",
			done:      "power rebooting", events: []string{start, failed}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := w.enroll(t, func(n *store.Node) {
				n.ProvisionState, n.PowerState, n.LastError = store.Manageable, c.recorded, "an old error"
				n.DriverInternalInfo = store.Dict{"agent_url": "http://127.0.0.1:9999", "agent_secret_token": "t",
					"agent_cached_deploy_steps": store.Dict{}, "agent_cached_clean_steps": store.Dict{}, "agent_verify_ca": "/x",
					"agent_version": "9"}
			})
			w.script.bmc(n.UUID, c.actual)
			w.script.use(c.acts)
			w.must(t, "change_node_power_state", map[string]any{"node_id": n.UUID, "new_state": c.requested, "timeout": nil})
			got := w.settled(t, n.UUID, store.Manageable)
			equal(t, "power state", got.PowerState, c.power)
			equal(t, "target power state", got.TargetPowerState, "")
			equal(t, "last error", got.LastError, c.lastError)
			equal(t, "agent known", got.DriverInternalInfo["agent_url"] != nil, c.keepsAgent)
			equal(t, "token known", got.DriverInternalInfo["agent_secret_token"] != nil, c.keepsAgent)
			equal(t, "agent version", got.DriverInternalInfo.String("agent_version"), "9")
			equal(t, "asked", strings.Join(w.script.did("power power on", "power power off", "power soft power off",
				"power rebooting", "power soft rebooting"), ", "), c.done)
			w.announced(t, n.UUID, c.events...)
			if c.done != "" {
				if _, err := time.Parse(isoMicro, got.DriverInternalInfo.String("last_power_state_change")); err != nil {
					t.Errorf("last_power_state_change: %v", err)
				}
			}
		})
	}
}

// A token that stands on the boot medium belongs to the next agent too.
func TestPowerOffKeepsAPregeneratedToken(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, func(n *store.Node) {
		n.PowerState = store.PowerOn
		n.DriverInternalInfo = store.Dict{"agent_secret_token": "t", "agent_secret_token_pregenerated": true}
	})
	w.must(t, "change_node_power_state", map[string]any{"node_id": n.UUID, "new_state": store.PowerOff})
	equal(t, "token", w.settled(t, n.UUID, store.Enroll).DriverInternalInfo.String("agent_secret_token"), "t")
}

func TestPowerActionOfAFailedNodeKeepsItsError(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, func(n *store.Node) {
		n.ProvisionState, n.TargetProvisionState, n.PowerState = store.DeployFail, store.Active, store.PowerOn
	})
	held := w.lock(t, n.UUID, lockMode{purpose: "a test"})
	held.Node.LastError = "why it failed"
	if err := held.setPower(t.Context(), store.Reboot, 0); err != nil {
		t.Fatal(err)
	}
	if err := held.release(t.Context()); err != nil {
		t.Fatal(err)
	}
	equal(t, "last error", w.row(t, n.UUID).LastError, "why it failed")
}

func TestPowerRequestsAreValidatedBeforeTheyAreTaken(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, nil)
	text := w.refused(t, store.InvalidParameterValue, "change_node_power_state",
		map[string]any{"node_id": n.UUID, "new_state": "sideways"})
	equal(t, "refusal", text, "The driver fake-hardware does not support the power state, sideways")
	w.script.use(behaviour{powerValidate: func() error {
		return store.Errorf(store.MissingParameterValue, "no address")
	}})
	w.refused(t, store.MissingParameterValue, "change_node_power_state",
		map[string]any{"node_id": n.UUID, "new_state": store.PowerOn})
	equal(t, "target power state", w.row(t, n.UUID).TargetPowerState, "")
	w.unlocked(t)
	w.announced(t, n.UUID)
}

func TestSoftActionsHaveATimeoutOfTheirOwn(t *testing.T) {
	w := idle(t, nil)
	for _, c := range []struct {
		state   string
		timeout any
		want    time.Duration
	}{
		{store.SoftPowerOff, nil, 10 * time.Minute}, {store.SoftReboot, nil, 10 * time.Minute}, {store.PowerOff, nil, 0},
		{store.PowerOn, "7", 0}, {store.PowerOn, json.Number("1.5"), 1500 * time.Millisecond},
		{store.SoftPowerOff, json.Number("5"), 5 * time.Second}, {store.PowerOn, json.Number("7"), 7 * time.Second},
		{store.PowerOn, json.Number("9223372036854775807"), math.MaxInt32 * time.Second},
	} {
		equal(t, c.state, w.powerTimeout(powerArgs{NewState: c.state, Timeout: c.timeout}), c.want)
	}
}

func TestANodeThatMustStayOnIsNotSwitchedOff(t *testing.T) {
	w := idle(t, nil)
	n := w.enroll(t, func(n *store.Node) { n.PowerState = store.PowerOn })
	held := w.lock(t, n.UUID, lockMode{purpose: "a test"})
	held.Node.DisablePowerOff = pointer(true)
	for _, state := range []string{store.PowerOff, store.SoftPowerOff} {
		err := held.setPower(t.Context(), state, 0)
		equal(t, "kind", store.KindOf(err), store.PowerStateFailure)
	}
	if len(w.script.did()) != 0 {
		t.Errorf("the BMC was asked: %q", w.script.did())
	}
	held.Node.DisablePowerOff = nil
	if err := held.release(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestBootModeAndSecureBoot(t *testing.T) {
	w := startWorker(t, nil)
	broken := errors.New("no")
	for _, c := range []struct {
		name      string
		method    string
		state     any
		acts      behaviour
		lastError string
		mode      string
		secure    string
	}{
		{name: "a new mode", method: "change_node_boot_mode", state: "uefi", mode: "uefi",
			acts: behaviour{bootMode: func() (string, error) { return "bios", nil },
				setBootMode: func(string) error { return nil }}},
		{name: "the mode that it has", method: "change_node_boot_mode", state: "uefi",
			acts: behaviour{bootMode: func() (string, error) { return "uefi", nil },
				setBootMode: func(string) error { return broken }}},
		{name: "a mode that can't be set", method: "change_node_boot_mode", state: "uefi",
			acts: behaviour{bootMode: func() (string, error) { return "", broken },
				setBootMode: func(string) error { return broken }},
			lastError: "Failed to change boot mode to 'uefi: no"},
		{name: "secure boot on", method: "change_node_secure_boot", state: true, secure: "true",
			acts: behaviour{secureBoot: func() (bool, error) { return false, nil },
				setSecureBoot: func(bool) error { return nil }}},
		{name: "secure boot as it is", method: "change_node_secure_boot", state: true,
			acts: behaviour{secureBoot: func() (bool, error) { return true, nil },
				setSecureBoot: func(bool) error { return broken }}},
		{name: "secure boot that can't be set", method: "change_node_secure_boot", state: false,
			acts: behaviour{secureBoot: func() (bool, error) { return true, nil },
				setSecureBoot: func(bool) error { return broken }},
			lastError: "Failed to change secure_boot state to 'False': no"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := w.enroll(t, func(n *store.Node) { n.LastError = "an old error" })
			w.script.use(c.acts)
			w.must(t, c.method, map[string]any{"node_id": n.UUID, "new_state": c.state})
			got := w.settled(t, n.UUID, store.Enroll)
			equal(t, "last error", got.LastError, c.lastError)
			equal(t, "boot mode", got.BootMode, c.mode)
			secure := ""
			if got.SecureBoot != nil {
				secure = map[bool]string{true: "true", false: "false"}[*got.SecureBoot]
			}
			equal(t, "secure boot", secure, c.secure)
		})
	}
}
