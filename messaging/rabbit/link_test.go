package rabbit

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"
)

func TestAnotherHostIsTriedWhenOneIsDead(t *testing.T) {
	cfg := testConfig(t)
	live, _ := strings.CutPrefix(cfg.URL, "rabbit://")
	cfg.URL = "rabbit://u:p@127.0.0.1:1,u:p@127.0.0.1:2," + live
	p := startPublisher(t, cfg)
	eventually(t, "a connection", p.Connected)
	if address, err := Check(timeout(t), cfg); err != nil || !strings.HasSuffix(live, address+"/") {
		t.Errorf("Check = %s, %v", address, err)
	}
}

func TestWrongPasswordIsNamed(t *testing.T) {
	cfg := testConfig(t)
	cfg.URL = strings.Replace(cfg.URL, ":lab@", ":hunter2@", 1)
	_, err := Check(timeout(t), cfg)
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1") || strings.Contains(err.Error(), "hunter2") ||
		!strings.Contains(strings.ToUpper(err.Error()), "ACCESS_REFUSED") && !strings.Contains(err.Error(), "password") {
		t.Errorf("error %v", err)
	}
}

// A broker that dies and comes back is found again: everything is declared anew, and what was to be published meanwhile
// is published.
func TestBrokerRestart(t *testing.T) {
	cfg := serverConfig(t)
	got := make(chan string, 10)
	s, _ := startServer(t, cfg, func(_ context.Context, d *Delivery) {
		_ = d.Ack()
		got <- string(d.Body)
	})
	p := startPublisher(t, cfg.Config)
	events := make(chan string, 10)
	sub, err := NewSubscriber(cfg.Config, []string{"events-" + t.Name() + ".info"})
	if err != nil {
		t.Fatal(err)
	}
	running(t, func(ctx context.Context) { sub.Run(ctx, func(_ string, body []byte) { events <- string(body) }) })
	eventually(t, "all connected", func() bool { return p.Connected() && sub.Connected() })

	b, _ := broker()
	if err := b.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the loss is noticed", func() bool { return !s.Connected() && !p.Connected() && !sub.Connected() })
	if s.Status().Err == nil {
		t.Error("no reason is given while disconnected")
	}
	sent := make(chan error)
	go func() { sent <- p.Notify(timeout(t), "events-"+t.Name()+".info", []byte("meanwhile")) }()
	if err := b.Start(timeout(t)); err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	eventually(t, "all connected again", func() bool { return s.Connected() && sub.Connected() })
	ch := client(t)
	for _, key := range []string{cfg.Topic, cfg.Topic + ".host-1"} {
		send(t, ch, cfg.Exchange, key, key)
		if body := <-got; body != key {
			t.Errorf("received %q", body)
		}
	}
	if err := p.Notify(timeout(t), "events-"+t.Name()+".info", []byte("after")); err != nil {
		t.Fatal(err)
	}
	for !slices.Contains([]string{<-events}, "after") {
	}
}

// A broker that takes the connection and then says nothing does not keep a worker from stopping.
func TestSilentBroker(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	taken := make(chan net.Conn, 10)
	go func() {
		defer close(taken)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			taken <- conn
		}
	}()
	cfg := Config{URL: "rabbit://u:p@" + listener.Addr().String() + "/", Options: DefaultOptions(), Exchange: "x"}
	p, err := NewPublisher(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Run(ctx)
	}()
	defer (<-taken).Close()
	if p.Connected() {
		t.Error("connected to a broker that says nothing")
	}
	cancel()
	<-done
}
