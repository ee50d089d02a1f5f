package wholeworker

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/messaging/rabbit"
)

// event is one message of those that the worker sends to everybody.
type event struct {
	// id stays the same when the message is sent again.
	id         string
	kind, node string
	flow, step string
	percent    *float64
	reason     string
	state      string
}

// events collects what arrives on RabbitMQ.
type events struct {
	mu         sync.Mutex
	seen       []event
	unreadable []string
	// following tells whether what is sent arrives; nil when it always does.
	following func() bool
}

// follow subscribes to progress events and ironic's notifications until the test ends.
func follow(t *testing.T, transportURL string) *events {
	t.Helper()
	subscriber, err := rabbit.NewSubscriber(rabbit.Config{URL: transportURL, Options: rabbit.DefaultOptions(),
		Exchange: "ironic", Name: "whole worker test", Log: zerolog.Nop()}, []string{"ironmaster_progress.*", "ironic_versioned_notifications.*"})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	e := &events{following: subscriber.Connected}
	done := make(chan struct{})
	go func() {
		defer close(done)
		subscriber.Run(ctx, func(_ string, body []byte) { e.add(body) })
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		for _, text := range e.unreadable {
			t.Errorf("an event that cannot be read: %s", text)
		}
	})
	eventually(t, "the events are followed", func() error {
		if !subscriber.Connected() {
			return errors.New("not connected")
		}
		return nil
	})
	return e
}

func (e *events) add(body []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n, err := oslo.DecodeNotification(body)
	if err != nil {
		e.unreadable = append(e.unreadable, err.Error())
		return
	}
	var payload struct {
		Data struct {
			UUID     string   `json:"uuid"`
			NodeUUID string   `json:"node_uuid"`
			Flow     string   `json:"flow"`
			Step     *string  `json:"step"`
			Percent  *float64 `json:"percent"`
			Reason   *string  `json:"reason"`
			State    string   `json:"provision_state"`
		} `json:"ironic_object.data"`
	}
	if err := json.Unmarshal(n.Payload, &payload); err != nil {
		e.unreadable = append(e.unreadable, n.EventType+": "+err.Error())
		return
	}
	d := payload.Data
	one := event{id: n.MessageID, kind: n.EventType, node: d.UUID + d.NodeUUID, flow: d.Flow, percent: d.Percent, state: d.State}
	if d.Step != nil {
		one.step = *d.Step
	}
	if d.Reason != nil {
		one.reason = *d.Reason
	}
	e.seen = append(e.seen, one)
}

// of returns the events about a node so far.
func (e *events) of(node string) []event {
	e.mu.Lock()
	defer e.mu.Unlock()
	var found []event
	for _, one := range e.seen {
		if one.node == node {
			found = append(found, one)
		}
	}
	return found
}
