package conductor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/messaging/oslo"
)

// testBus is a broker in memory: requests go in by call, replies and events are kept.
type testBus struct {
	mu      sync.Mutex
	replies map[string]chan []byte
	events  []*oslo.Notification
	away    atomic.Bool
	arrived *sync.Cond
	wire    Wire
	handle  chan func(context.Context, Message)
	// unserved is closed when requests are not taken any more.
	unserved chan struct{}
}

func newTestBus(cfg Config) *testBus {
	b := &testBus{wire: Wire{Release: cfg.Release, MaxSize: cfg.MaxMessageSize}, replies: map[string]chan []byte{},
		handle: make(chan func(context.Context, Message), 1), unserved: make(chan struct{})}
	b.arrived = sync.NewCond(&b.mu)
	return b
}

func (b *testBus) Serve(ctx context.Context, handle func(context.Context, Message)) {
	defer close(b.unserved)
	b.handle <- handle
	<-ctx.Done()
}

func (b *testBus) Ready(context.Context) error { return nil }
func (b *testBus) Health() (string, *Absence)  { return "broker", nil }
func (b *testBus) Form() Form                  { return FormOslo }
func (b *testBus) Again(body []byte) Message   { return b.message(body, ackNothing) }

// message is a request that came over this bus.
func (b *testBus) message(body []byte, ack func() error) Message {
	return newOsloMessage(body, b.wire, ack, b.reply, zerolog.Nop())
}

func (b *testBus) reply(_ context.Context, queue string, body []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if ch := b.replies[queue]; ch != nil {
		ch <- body
	}
	return nil
}

func (b *testBus) Notify(_ context.Context, _ string, body []byte) error {
	if b.away.Load() {
		return errors.New("the broker is away")
	}
	n, err := oslo.DecodeNotification(body)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, n)
	b.arrived.Broadcast()
	return nil
}

func (b *testBus) Publish(ctx context.Context, key string, body []byte) error {
	return b.Notify(ctx, key, body)
}

// sentID tells whether a notification went out under a message id.
func (b *testBus) sentID(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.events, func(n *oslo.Notification) bool { return n.MessageID == id })
}

// waitFor returns the event types seen once match is true of them.
func (b *testBus) waitFor(t *testing.T, match func(types []string) bool) []string {
	t.Helper()
	timer := time.AfterFunc(awaitLimit, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.arrived.Broadcast()
	})
	defer timer.Stop()
	deadline := time.Now().Add(awaitLimit)
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		var types []string
		for _, e := range b.events {
			types = append(types, e.EventType)
		}
		if match(types) {
			return types
		}
		if time.Now().After(deadline) {
			t.Fatalf("the events awaited did not come; seen: %q", types)
		}
		b.arrived.Wait()
	}
}

// seen returns the types of the events of a node so far, without progress.
func (b *testBus) seen(node string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var types []string
	for _, e := range b.events {
		if strings.Contains(string(e.Payload), node) && !strings.Contains(e.EventType, "progress") {
			types = append(types, strings.TrimPrefix(e.EventType, "baremetal.node."))
		}
	}
	return types
}

// payload waits for the first event of a type that is about a node, and returns what it holds.
func (b *testBus) payload(t *testing.T, node, eventType string) string {
	t.Helper()
	found := ""
	waitUntil(t, eventType+" is published", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, e := range b.events {
			if e.EventType == eventType && strings.Contains(string(e.Payload), node) {
				found = string(e.Payload)
				return true
			}
		}
		return false
	})
	return found
}
