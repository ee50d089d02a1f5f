package rabbit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// wire is a network between a client and the broker that can be cut: then nothing comes through any more, and nobody is
// told. No connection is made meanwhile; those made after it was mended work.
type wire struct {
	listener net.Listener
	server   string
	conns    sync.WaitGroup

	mu  sync.Mutex
	cut chan struct{} // closed while the wire is cut; connections keep the one that they began with
}

// through lays a wire and has the configuration go through it.
func through(t *testing.T, cfg *Config) *wire {
	t.Helper()
	server, _ := strings.CutPrefix(cfg.URL, "rabbit://")
	_, server, _ = strings.Cut(strings.TrimSuffix(server, "/"), "@")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: listener, server: server, cut: make(chan struct{})}
	cfg.URL = strings.Replace(cfg.URL, server, listener.Addr().String(), 1)
	w.conns.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			w.conns.Go(func() { w.carry(client) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		w.conns.Wait()
	})
	return w
}

// carry moves bytes both ways until the client hangs up. What comes after the cut is swallowed.
func (w *wire) carry(client net.Conn) {
	w.mu.Lock()
	cut := w.cut
	w.mu.Unlock()
	defer client.Close()
	select {
	case <-cut:
		return
	default:
	}
	server, err := net.Dial("tcp", w.server)
	if err != nil {
		return
	}
	defer server.Close()
	w.conns.Go(func() { _, _ = io.Copy(&cuttable{client, cut}, server) })
	_, _ = io.Copy(&cuttable{server, cut}, client)
}

func (w *wire) cutOff() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.cut)
}

func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = make(chan struct{})
}

type cuttable struct {
	net.Conn
	cut chan struct{}
}

func (c *cuttable) Write(p []byte) (int, error) {
	select {
	case <-c.cut:
		return len(p), nil
	default:
		return c.Conn.Write(p)
	}
}

// A network that was cut without a word is noticed by the heartbeats, and what was sent into it is sent again.
func TestPartitionIsNoticed(t *testing.T) {
	cfg := serverConfig(t)
	cfg.Options.Heartbeat = time.Second
	net := through(t, &cfg.Config)
	got := make(chan string, 10)
	s, _ := startServer(t, cfg, func(_ context.Context, d *Delivery) {
		_ = d.Ack()
		got <- string(d.Body)
	})
	p := startPublisher(t, cfg.Config)
	eventually(t, "the publisher is connected", p.Connected)
	net.cutOff()
	sent := make(chan error)
	go func() { sent <- p.Notify(timeout(t), "events-"+t.Name()+".info", []byte("into the void")) }()
	eventually(t, "the loss is noticed", func() bool { return !s.Connected() && !p.Connected() })
	if away := s.Status(); away.Err == nil || away.Since.IsZero() {
		t.Errorf("while the broker is away its status is %+v", away)
	}
	net.mend()
	if err := <-sent; err != nil {
		t.Error(err)
	}
	eventually(t, "the server listens again", s.Connected)
	send(t, client(t), cfg.Exchange, cfg.Topic+".host-1", "after")
	if body := <-got; body != "after" {
		t.Errorf("received %q", body)
	}
}

// An exchange that was deleted takes its bindings along, and no consumer hears of it.
func TestDeletedExchangesComeBack(t *testing.T) {
	cfg := serverConfig(t)
	cfg.BindEvery = 50 * time.Millisecond
	got := make(chan string, 10)
	startServer(t, cfg, func(_ context.Context, d *Delivery) {
		_ = d.Ack()
		got <- string(d.Body)
	})
	for _, route := range [][2]string{{cfg.Exchange, cfg.Topic + ".host-1"}, {cfg.Topic + "_fanout", ""}} {
		t.Run(route[0], func(t *testing.T) {
			if err := client(t).ExchangeDelete(route[0], false, false); err != nil {
				t.Fatal(err)
			}
			eventually(t, "a message arrives", func() bool {
				ch := client(t)
				returns := ch.NotifyReturn(make(chan amqp.Return, 1))
				closed := ch.NotifyClose(make(chan *amqp.Error, 1))
				if ch.Confirm(false) != nil {
					return false
				}
				confirm, err := ch.PublishWithDeferredConfirm(route[0], route[1], true, false, amqp.Publishing{Body: []byte(route[0])})
				if err != nil {
					return false
				}
				select {
				case <-confirm.Done():
				case <-closed:
					return false
				}
				select {
				case <-returns:
					return false
				case body := <-got:
					return body == route[0]
				}
			})
		})
	}
}

// A queue of notifications that was deleted is made again, and no event falls into the gap.
func TestDeletedNotificationQueueComesBack(t *testing.T) {
	cfg := testConfig(t)
	key := "events-" + t.Name() + ".info"
	p := startPublisher(t, cfg)
	ch := client(t)
	for i := range 3 {
		if err := p.Notify(timeout(t), key, fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
		d, ok, err := ch.Get(key, true)
		if err != nil || !ok || string(d.Body) != fmt.Sprint(i) {
			t.Fatalf("the queue holds %q, %v, %v", d.Body, ok, err)
		}
		if _, err := ch.QueueDelete(key, false, false, false); err != nil {
			t.Fatal(err)
		}
	}
}

// A broker whose memory or disk runs short takes no messages. They wait, and each comes once.
func TestBlockedBroker(t *testing.T) {
	cfg := testConfig(t)
	p := startPublisher(t, cfg)
	replies := replyQueue(t, client(t), "replies-"+t.Name())
	b, _ := broker()
	alarm := func(limit string) {
		if _, err := b.Ctl(timeout(t), "set_vm_memory_high_watermark", limit); err != nil {
			t.Fatal(err)
		}
	}
	defer alarm("0.4")
	alarm("0.0000001")
	sent := make(chan error)
	go func() { sent <- p.Reply(timeout(t), "replies-"+t.Name(), []byte("late")) }()
	eventually(t, "the broker says that it takes nothing", func() bool {
		s := p.Status()
		return s.Connected && !s.OK() && strings.Contains(s.Err.Error(), "low on memory")
	})
	hasty, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Reply(hasty, "replies-"+t.Name(), []byte("never")); !errors.Is(err, context.Canceled) {
		t.Errorf("whoever does not wait is told %v", err)
	}
	alarm("0.4")
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	eventually(t, "all is well again", func() bool { return p.Status().OK() })
	if err := p.Reply(timeout(t), "replies-"+t.Name(), []byte("next")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"late", "next"} {
		if d := receive(t, replies); string(d.Body) != want {
			t.Errorf("received %q, want %q", d.Body, want)
		}
	}
}
