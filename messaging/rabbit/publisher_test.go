package rabbit

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// A reply whose queue is missing is tried again until the queue appears, and holds up no other reply meanwhile.
func TestReplyWaitsForItsQueue(t *testing.T) {
	p := startPublisher(t, testConfig(t))
	ch := client(t)
	late := make(chan error)
	const waiting = 2 * maxChannels
	for i := range waiting {
		go func() { late <- p.Reply(timeout(t), "late-"+t.Name(), fmt.Appendf(nil, "late %d", i)) }()
	}
	there := replyQueue(t, ch, "there-"+t.Name())
	for i := range 50 {
		if err := p.Reply(timeout(t), "there-"+t.Name(), fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
		receive(t, there)
	}
	select {
	case err := <-late:
		t.Fatalf("a reply to a missing queue came to an end: %v", err)
	default:
	}
	got := replyQueue(t, ch, "late-"+t.Name())
	seen := map[string]bool{}
	for range waiting {
		seen[string(receive(t, got).Body)] = true
		if err := <-late; err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != waiting {
		t.Errorf("%d different replies of %d", len(seen), waiting)
	}
}

func TestReplyGivesUp(t *testing.T) {
	cfg := testConfig(t)
	cfg.Options.MissingConsumerTimeout = 300 * time.Millisecond
	p := startPublisher(t, cfg)
	if err := p.Reply(timeout(t), "nobody-"+t.Name(), []byte("x")); !errors.Is(err, ErrNoReplyQueue) {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Reply(ctx, "nobody-"+t.Name(), []byte("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestNotificationsPileUpAndAreFollowed(t *testing.T) {
	cfg := testConfig(t)
	key := "events-" + t.Name() + ".info"
	p := startPublisher(t, cfg)
	if err := p.Notify(timeout(t), key, []byte("one")); err != nil {
		t.Fatal(err)
	}
	events := make(chan string, 10)
	sub, err := NewSubscriber(cfg, []string{"events-" + t.Name() + ".*"})
	if err != nil {
		t.Fatal(err)
	}
	running(t, func(ctx context.Context) {
		sub.Run(ctx, func(key string, body []byte) { events <- key + " " + string(body) })
	})
	eventually(t, "the subscriber listens", sub.Connected)
	if err := p.Notify(timeout(t), key, []byte("two")); err != nil {
		t.Fatal(err)
	}
	if got := <-events; got != key+" two" {
		t.Errorf("followed %q", got)
	}
	ch := client(t)
	for _, want := range []string{"one", "two"} {
		d, ok, err := ch.Get(key, true)
		if err != nil || !ok || string(d.Body) != want {
			t.Errorf("queue holds %q, %v, %v; want %s", d.Body, ok, err, want)
		}
	}
	// A queue that somebody deleted is not missed for long: the exchange may be gone with it.
	if err := ch.ExchangeDelete(cfg.Exchange, false, false); err != nil {
		t.Fatal(err)
	}
	if err := p.Notify(timeout(t), key, []byte("three")); err != nil {
		t.Fatal(err)
	}
}
