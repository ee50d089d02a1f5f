package main

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/messaging/rabbit"
)

// notices collects the notifications that a deployment has ended.
type notices struct {
	cancel context.CancelFunc
	ended  chan struct{}

	mu sync.Mutex
	// ids are the ids of the messages that a node was deployed. One that was sent twice with its id counts once.
	ids map[string]map[string]bool
}

// follow subscribes to the notifications of a broker.
func follow(transportURL string) (*notices, error) {
	subscriber, err := rabbit.NewSubscriber(rabbit.Config{URL: transportURL, Options: rabbit.DefaultOptions(),
		Exchange: "ironic", Name: "chaos", Log: zerolog.Nop()}, []string{"ironic_versioned_notifications.*"})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	n := &notices{cancel: cancel, ended: make(chan struct{}), ids: map[string]map[string]bool{}}
	go func() {
		defer close(n.ended)
		subscriber.Run(ctx, func(_ string, body []byte) { n.add(body) })
	}()
	for deadline := time.Now().Add(time.Minute); !subscriber.Connected(); time.Sleep(pollPause) {
		if time.Now().After(deadline) {
			n.close()
			return nil, errors.New("following notifications: no connection to the broker")
		}
	}
	return n, nil
}

func (n *notices) add(body []byte) {
	message, err := oslo.DecodeNotification(body)
	if err != nil || message.EventType != "baremetal.node.provision_set.end" {
		return
	}
	var payload struct {
		Data struct {
			UUID  string `json:"uuid"`
			State string `json:"provision_state"`
		} `json:"ironic_object.data"`
	}
	if json.Unmarshal(message.Payload, &payload) != nil || payload.Data.State != "active" {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ids[payload.Data.UUID] == nil {
		n.ids[payload.Data.UUID] = map[string]bool{}
	}
	n.ids[payload.Data.UUID][message.MessageID] = true
}

// count is how many different ends of deployments were announced for a node since forget.
func (n *notices) count(node string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.ids[node])
}

func (n *notices) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.ids)
}

func (n *notices) close() {
	n.cancel()
	<-n.ended
}
