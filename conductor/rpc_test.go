package conductor

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/local"
)

func raw(t *testing.T, v any) json.RawMessage {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestBadRequestsAreAnsweredAndChangeNothing(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, nil)
	for _, c := range []struct {
		name, method, version, namespace string
		args                             map[string]any
		class, text                      string
	}{
		{name: "an unknown method", method: "do_node_dance", class: "NoSuchMethod", text: "do_node_dance"},
		{name: "a later version", method: "change_node_power_state", version: "1.56", class: "UnsupportedVersion"},
		{name: "another major version", method: "change_node_power_state", version: "2.0", class: "UnsupportedVersion"},
		{name: "another namespace", method: "change_node_power_state", namespace: "baremetal", class: "UnsupportedVersion"},
		{name: "no arguments", method: "change_node_power_state", class: "TypeError", text: "node_id"},
		{name: "an unknown argument", method: "change_node_power_state", class: "TypeError", text: "colour",
			args: map[string]any{"node_id": n.UUID, "new_state": "power on", "colour": "red"}},
		{name: "a number for a text", method: "change_node_power_state", class: "InvalidParameterValue", text: "does not support the power state, 7",
			args: map[string]any{"node_id": n.UUID, "new_state": 7}},
		{name: "a text for a list", method: "add_node_traits", class: "TypeError", text: "'int' object is not iterable",
			args: map[string]any{"node_id": n.UUID, "traits": 5}},
		{name: "an unknown node", method: "change_node_power_state", class: "NodeNotFound", text: "could not be found",
			args: map[string]any{"node_id": uuid.NewString(), "new_state": "power on"}},
		{name: "a list for a node", method: "change_node_power_state", class: "InvalidIdentity", text: "Expected a UUID or int but received ['a'].",
			args: map[string]any{"node_id": []any{"a"}, "new_state": "power on"}},
		{name: "no node", method: "heartbeat", class: "InvalidIdentity", text: "Expected a UUID or int but received None.",
			args: map[string]any{"node_id": nil, "callback_url": "http://127.0.0.1", "agent_version": "9"}},
		{name: "what the release lacks", method: "continue_inspection", class: "NoSuchMethod", text: "continue_inspection",
			args: map[string]any{"node_id": n.UUID, "inventory": map[string]any{}}},
		{name: "a node object that is none", method: "update_node", class: "AttributeError", text: "'int' object has no attribute 'uuid'",
			args: map[string]any{"node_obj": 7}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &oslo.Request{Method: c.method, Version: c.version, Namespace: c.namespace, Args: map[string]json.RawMessage{},
				MsgID: uuid.NewString(), ReplyQ: "reply_" + uuid.NewString(), Context: oslo.AdminContext()}
			if r.Version == "" {
				r.Version = "1.0"
			}
			for name, value := range c.args {
				r.Args[name] = raw(t, value)
			}
			body, err := r.Encode()
			if err != nil {
				t.Fatal(err)
			}
			reply := w.deliver(t, r.ReplyQ, body)
			if reply.Failure == nil || reply.Failure.Class != c.class || !strings.Contains(reply.Failure.Message, c.text) {
				t.Errorf("the answer is %s, %+v; want %s with %q", reply.Result, reply.Failure, c.class, c.text)
			}
		})
	}
	w.unlocked(t)
	got := w.row(t, n.UUID)
	equal(t, "power state", got.PowerState, "")
	equal(t, "last error", got.LastError, "")
	if calls, err := w.local.Pending(); err != nil || len(calls) != 0 {
		t.Errorf("the inbox still holds %v, %v", calls, err)
	}
}

// A message that can't be read is answered where its return address can be, and taken off the queue in any case.
func TestUnreadableMessagesLeaveTheQueue(t *testing.T) {
	w := startWorker(t, func(c *Config) { c.MaxMessageSize = 1000 })
	inner := func(fields map[string]any) []byte {
		return raw(t, map[string]any{"oslo.version": "2.0", "oslo.message": string(raw(t, fields))})
	}
	for name, c := range map[string]struct {
		body     []byte
		answered bool
	}{
		"no JSON":       {[]byte("hello"), false},
		"no envelope":   {[]byte(`[]`), false},
		"no method":     {inner(map[string]any{"args": map[string]any{}, "_msg_id": "m", "_reply_q": "reply_x"}), true},
		"args no dict":  {inner(map[string]any{"method": "heartbeat", "args": 7, "_msg_id": "m", "_reply_q": "reply_x"}), true},
		"too large":     {inner(map[string]any{"_msg_id": "m", "_reply_q": "reply_x", "method": strings.Repeat("x", 2000)}), true},
		"an empty body": {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := w.bus.counted(c.body)
			answers := make(chan []byte, 1)
			w.bus.mu.Lock()
			w.bus.replies["reply_x"] = answers
			w.bus.mu.Unlock()
			w.handle(t.Context(), m)
			equal(t, "acks", m.acks, 1)
			equal(t, "answers", len(answers), map[bool]int{true: 1}[c.answered])
			if c.answered {
				reply, err := oslo.DecodeReply(<-answers)
				if err != nil || reply.Failure == nil || reply.MsgID != "m" {
					t.Errorf("answered with %+v, %v", reply, err)
				}
			}
		})
	}
}

type ackedMessage struct {
	Message
	acks int
}

func (b *testBus) counted(body []byte) *ackedMessage {
	m := &ackedMessage{}
	m.Message = b.message(body, func() error { m.acks++; return nil })
	return m
}

func TestARequestRunsOnceHoweverOftenItComes(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, nil)
	r := &oslo.Request{Method: "set_boot_device", Version: "1.17", UniqueID: "once", Context: oslo.AdminContext(),
		Args: map[string]json.RawMessage{"node_id": raw(t, n.UUID), "device": raw(t, "pxe")}}
	body, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		m := w.bus.counted(body)
		w.handle(t.Context(), m)
		equal(t, "acks", m.acks, 1)
	}
	fresh, err := w.local.Accept(local.Call{ID: "once", Body: body, At: w.clock.now()})
	if err != nil || fresh {
		t.Errorf("the worker would run the request again: %v, %v", fresh, err)
	}
}

// A cast has nobody who waits: its failure goes to the log.
func TestCastsAreNotAnswered(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, nil)
	r := &oslo.Request{Method: "continue_node_clean", Version: "1.27", Context: oslo.AdminContext(),
		Args: map[string]json.RawMessage{"node_id": raw(t, n.UUID)}}
	body, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	w.handle(t.Context(), w.bus.message(body, ackNothing))
	equal(t, "provision state", w.row(t, n.UUID).ProvisionState, store.Enroll)
	w.unlocked(t)
}

// A bug that one request hits fails that request alone and leaves no lock.
func TestAPanicFailsOneRequest(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, nil)
	w.script.use(behaviour{powerValidate: func() error { panic("a bug") }})
	args := map[string]any{"node_id": n.UUID, "new_state": store.PowerOn}
	reply := w.call(t, "change_node_power_state", args)
	if reply.Failure == nil || !strings.Contains(reply.Failure.Message, "internal error") {
		t.Errorf("answered %+v", reply)
	}
	w.unlocked(t)
	equal(t, "reservation", w.row(t, n.UUID).Reservation, "")

	w.script.use(behaviour{setPower: func(context.Context, string) error { panic("another bug") }})
	w.must(t, "change_node_power_state", args)
	got := w.settled(t, n.UUID, store.Enroll)
	if !strings.Contains(got.LastError, "Async execution of changing node power state failed with error") {
		t.Errorf("last error is %q", got.LastError)
	}

	w.script.use(behaviour{prepare: func(*drivers.Task) error { panic("a third") }})
	available := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Available })
	w.must(t, "do_node_deploy", map[string]any{"node_id": available.UUID})
	w.settled(t, available.UUID, store.DeployFail)
	w.unlocked(t)
}
