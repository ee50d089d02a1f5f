package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/ironmaster/ironmaster/conductor"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/messaging/rabbit"
)

const (
	nodeOne = "1be26c0b-03f2-4d2e-ae87-c02d7f33c781"
	nodeTwo = "2be26c0b-03f2-4d2e-ae87-c02d7f33c782"
)

// note is a notification as a conductor publishes it.
func note(t testing.TB, eventType string, data any) []byte {
	t.Helper()
	payload, err := json.Marshal(map[string]any{"ironic_object.name": "X", "ironic_object.namespace": "ironic",
		"ironic_object.version": "1.0", "ironic_object.data": data})
	if err != nil {
		t.Fatal(err)
	}
	n := oslo.Notification{MessageID: "6e5a1b0e-0000-4000-8000-000000000001", PublisherID: "ironic-conductor.one",
		EventType: eventType, Priority: "INFO", Payload: payload, Timestamp: time.Date(2026, 1, 2, 3, 4, 5, 678000, time.UTC)}
	body, err := n.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func ref[T any](v T) *T { return &v }

// writing is a node that takes its image.
func writing() conductor.ProgressPayload {
	return conductor.ProgressPayload{NodeUUID: nodeOne, NodeName: ref("machine-1"), Conductor: "one",
		ProvisionState: "deploying", Flow: "deploy", Step: ref("deploy.write_image"), Index: ref(1), Total: ref(5),
		Percent: ref(42.5), BytesDone: ref(int64(425 << 20)), BytesTotal: ref(int64(1000 << 20)), Rate: ref(float64(100 << 20)),
		ETA: ref(65.0), Reason: ref("writing the image")}
}

func TestEventLines(t *testing.T) {
	waiting := conductor.ProgressPayload{NodeUUID: nodeOne, Flow: "clean", Step: ref("deploy.erase_devices"), Index: ref(0),
		Total: ref(2), Waiting: true, Reason: ref("waiting for the agent\nto boot")}
	for _, c := range []struct {
		event string
		data  any
		want  string
	}{
		{progressPrefix + "start", conductor.ProgressPayload{NodeUUID: nodeOne, NodeName: ref("machine-1"), Flow: "deploy"},
			"machine-1      deploy     begins"},
		{progressPrefix + "update", writing(), "machine-1      deploy     step 2/5 deploy.write_image, " +
			"42.5 % (425 MiB of 1000 MiB), 100 MiB/s, 1 min 05 s left, writing the image"},
		{progressPrefix + "update", waiting,
			nodeOne + "  clean      step 1/2 deploy.erase_devices, waiting for the agent to boot"},
		{progressPrefix + "end", conductor.ProgressPayload{NodeName: ref("machine-1"), Flow: "deploy"},
			"machine-1      deploy     done"},
		{progressPrefix + "error", conductor.ProgressPayload{NodeName: ref("machine-1"), Flow: "deploy", Reason: ref("no\x1b[2Jdisk")},
			"machine-1      deploy     FAILED: no [2Jdisk"},
		{"baremetal.node.provision_set.start", map[string]any{"uuid": nodeOne, "name": "machine-1", "provision_state": "deploying",
			"previous_provision_state": "available", "event": "deploy"}, "machine-1      provision  available -> deploying (deploy)"},
		{"baremetal.node.provision_set.error", map[string]any{"name": "machine-1", "provision_state": "deploy failed",
			"previous_provision_state": "deploying", "event": "fail", "last_error": "no disk"},
			"machine-1      provision  deploying -> deploy failed (fail): no disk"},
		{"baremetal.node.power_set.end", map[string]any{"name": "machine-1", "to_power": "power on"},
			"machine-1      power      to power on: end"},
		{"baremetal.node.power_state_corrected.success", map[string]any{"name": "machine-1", "power_state": "power off",
			"from_power": "power on"}, "machine-1      power      is power off, was power on on record"},
		{"baremetal.node.maintenance_set.end", map[string]any{"name": "machine-1"},
			"machine-1      event      baremetal.node.maintenance_set.end"},
	} {
		e, err := decodeEvent(note(t, c.event, c.data))
		if err != nil {
			t.Errorf("%s: %v", c.event, err)
			continue
		}
		if _, got, _ := strings.Cut(eventLine(e), "  "); got != c.want {
			t.Errorf("%s reads\n%q, want\n%q", c.event, got, c.want)
		}
	}
}

// scripted hands out messages and then waits for the end, as a subscription does.
type scripted struct {
	bodies [][]byte
	status atomic.Pointer[rabbit.Status]
	done   context.CancelFunc
}

func (s *scripted) Status() rabbit.Status { return value(s.status.Load()) }

func (s *scripted) Run(ctx context.Context, handle func(string, []byte)) {
	for _, body := range s.bodies {
		if ctx.Err() != nil {
			return
		}
		handle("ironmaster_progress.info", body)
	}
	if s.done != nil {
		s.done()
	}
	<-ctx.Done()
}

func follow(t *testing.T, nodes []string, asJSON bool, bodies ...[]byte) (out, problems string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var o, p bytes.Buffer
	err := followEvents(ctx, source{&scripted{bodies: bodies, done: cancel}, "broker"}, nodes, newEventSink(&o, &p, asJSON))
	if err != nil {
		t.Errorf("following ended with %v", err)
	}
	return o.String(), p.String()
}

func TestEventsOfOtherNodesAreLeftOut(t *testing.T) {
	one := note(t, progressPrefix+"update", writing())
	two := note(t, "baremetal.node.power_set.end", map[string]any{"uuid": nodeTwo, "name": "machine-2", "to_power": "power on"})
	for _, c := range []struct {
		nodes []string
		lines int
	}{
		{nil, 2}, {[]string{"machine-1"}, 1}, {[]string{strings.ToUpper(nodeTwo)}, 1}, {[]string{nodeOne, "machine-2"}, 2},
		{[]string{"machine"}, 0}, {[]string{""}, 0},
	} {
		if out, _ := follow(t, c.nodes, false, one, two); strings.Count(out, "\n") != c.lines {
			t.Errorf("--node %q shows\n%s, want %d lines", c.nodes, out, c.lines)
		}
	}
}

func TestEventsAsJSON(t *testing.T) {
	out, _ := follow(t, nil, true, note(t, progressPrefix+"update", writing()), note(t, "a.b.c.d", map[string]any{"uuid": nodeTwo}))
	lines := slices.Collect(strings.Lines(out))
	if len(lines) != 2 {
		t.Fatalf("printed %q, want two lines", out)
	}
	var got struct {
		EventType string `json:"event_type"`
		Timestamp string
		Priority  string
		MessageID string `json:"message_id"`
		Payload   conductor.ProgressPayload
	}
	if err := json.Unmarshal([]byte(lines[0]), &got); err != nil {
		t.Fatal(err)
	}
	if got.EventType != progressPrefix+"update" || got.Timestamp != "2026-01-02T03:04:05.000678Z" || got.Priority != "INFO" ||
		got.MessageID == "" || *got.Payload.Percent != 42.5 || got.Payload.NodeUUID != nodeOne {
		t.Errorf("printed %s", lines[0])
	}
}

func TestUnreadableEventsAreSkippedAndTold(t *testing.T) {
	broken := []byte(`{"oslo.version": "2.0", "oslo.message": "{\"event_type\": "`)
	list := note(t, progressPrefix+"update", []string{"no", "object"})
	out, problems := follow(t, nil, false, broken, list, note(t, progressPrefix+"update", writing()))
	if strings.Count(out, "\n") != 1 || strings.Count(problems, "Skipping an event that cannot be read: ") != 2 {
		t.Errorf("printed %q and %q", out, problems)
	}
}

func TestFollowingEndsWhenNobodyReads(t *testing.T) {
	r, w := io.Pipe()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	sub := &scripted{bodies: [][]byte{note(t, progressPrefix+"update", writing()), note(t, progressPrefix+"update", writing())}}
	if err := followEvents(t.Context(), source{sub, "broker"}, nil, newEventSink(w, io.Discard, false)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("ended with %v", err)
	}
}

func TestTheBrokersComingsAndGoingsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		sub := &scripted{}
		var (
			mu   sync.Mutex
			told []string
		)
		expect := func(status rabbit.Status, want ...string) {
			t.Helper()
			sub.status.Store(&status)
			time.Sleep(2 * sourceWatchInterval)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(told, want) {
				t.Errorf("told %q, want %q", told, want)
			}
			told = nil
		}
		go watchSource(ctx, source{sub, "broker"}, []string{"machine-1"}, func(text string) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, text)
		})
		expect(rabbit.Status{})
		expect(rabbit.Status{Host: "h:1", Err: errors.New("refused")},
			"The broker h:1 is away: refused. Trying again; what happens until then is not seen here.")
		expect(rabbit.Status{Host: "h:2", Err: errors.New("refused again")})
		expect(rabbit.Status{Host: "h:1", Connected: true}, "Following the events of machine-1 at h:1.")
		expect(rabbit.Status{Host: "h:1", Connected: true})
		expect(rabbit.Status{Host: "h:1", Err: errors.New("reset")},
			"The broker h:1 is away: reset. Trying again; what happens until then is not seen here.")
		cancel()
		synctest.Wait()
	})
}

func FuzzDecodeEvent(f *testing.F) {
	f.Add(note(f, progressPrefix+"update", writing()))
	f.Add(note(f, progressPrefix+"error", map[string]any{"reason": "\x1b]0;x\a", "index": -1, "total": 0, "percent": 1e300}))
	f.Add(note(f, "baremetal.node.power_set.end", map[string]any{"uuid": nodeOne}))
	f.Add([]byte(`{"event_type": "x", "timestamp": "2025-01-01 10:00:00", "payload": null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := decodeEvent(body)
		if err != nil {
			return
		}
		if line := eventLine(e); strings.ContainsFunc(line, unicode.IsControl) {
			t.Errorf("%q has control characters", line)
		}
		if e.progress != nil {
			row := barRow{title: e.title(), progress: *e.progress}
			if line := row.line(barLayout{width: 80, name: 12, step: 12}, time.Time{}); len([]rune(line)) > 80 {
				t.Errorf("%q is too wide", line)
			}
		}
	})
}
