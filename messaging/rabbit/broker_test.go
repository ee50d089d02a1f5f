package rabbit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

// All tests share one broker. Each uses an exchange and a topic of its own.
var broker = sync.OnceValues(func() (*lab.RabbitMQ, error) {
	l, err := lab.New(context.Background(), lab.Options{})
	if err != nil {
		return nil, err
	}
	closeLab = l.Close
	return l.StartRabbitMQ()
})

var closeLab = func() error { return nil }

func TestMain(m *testing.M) {
	code := m.Run()
	if err := closeLab(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func testConfig(t *testing.T) Config {
	t.Helper()
	b, err := broker()
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{URL: b.TransportURL, Options: DefaultOptions(), Exchange: "x-" + t.Name(), Name: t.Name(),
		Log: zerolog.New(zerolog.NewTestWriter(t))}
	cfg.Options.ReconnectDelay, cfg.Options.RetryInterval = 10*time.Millisecond, 50*time.Millisecond
	cfg.Options.RetryBackoff, cfg.Options.RetryMax = 50*time.Millisecond, 200*time.Millisecond
	return cfg
}

func serverConfig(t *testing.T) ServerConfig {
	return ServerConfig{Config: testConfig(t), Topic: "topic-" + t.Name(), Host: "host-1"}
}

// running starts run in the background and returns a function that ends it and waits for that.
func running(t *testing.T, run func(ctx context.Context)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(ctx)
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

func startServer(t *testing.T, cfg ServerConfig, handle Handler) (*Server, func()) {
	t.Helper()
	s, err := NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	stop := running(t, func(ctx context.Context) { s.Serve(ctx, handle) })
	eventually(t, "the server listens", s.Connected)
	return s, stop
}

func startPublisher(t *testing.T, cfg Config) *Publisher {
	t.Helper()
	p, err := NewPublisher(cfg)
	if err != nil {
		t.Fatal(err)
	}
	running(t, p.Run)
	return p
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(40 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// client is a plain AMQP client, independent of the code under test.
func client(t *testing.T) *amqp.Channel {
	t.Helper()
	b, err := broker()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := amqp.Dial(strings.Replace(b.TransportURL, "rabbit", "amqp", 1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// replyQueue declares a queue as a caller does for its replies.
func replyQueue(t *testing.T, ch *amqp.Channel, name string) <-chan amqp.Delivery {
	t.Helper()
	if _, err := ch.QueueDeclare(name, false, false, false, false, amqp.Table{"x-expires": 1800000}); err != nil {
		t.Fatal(err)
	}
	got, err := ch.Consume(name, "", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func send(t *testing.T, ch *amqp.Channel, exchange, key, body string) {
	t.Helper()
	if err := ch.Publish(exchange, key, false, false, amqp.Publishing{Body: []byte(body), Expiration: "60000",
		ContentType: "application/json", ContentEncoding: "utf-8", DeliveryMode: 2}); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, from <-chan amqp.Delivery) amqp.Delivery {
	t.Helper()
	select {
	case d, ok := <-from:
		if !ok {
			t.Fatal("the test's own consumer ended")
		}
		return d
	case <-time.After(30 * time.Second):
		t.Fatal("no message came")
	}
	return amqp.Delivery{}
}

func timeout(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestCallAndReply(t *testing.T) {
	cfg := serverConfig(t)
	p := startPublisher(t, cfg.Config)
	startServer(t, cfg, func(ctx context.Context, d *Delivery) {
		if d.Expiration != time.Minute || d.Redelivered {
			t.Errorf("expiration %v, redelivered %v", d.Expiration, d.Redelivered)
		}
		if err := d.Ack(); err != nil {
			t.Error(err)
		}
		if err := p.Reply(ctx, "reply-"+t.Name(), append([]byte("re: "), d.Body...)); err != nil {
			t.Error(err)
		}
	})
	ch := client(t)
	replies := replyQueue(t, ch, "reply-"+t.Name())
	for _, route := range [][2]string{
		{cfg.Exchange, cfg.Topic}, {cfg.Exchange, cfg.Topic + ".host-1"}, {cfg.Topic + "_fanout", ""},
	} {
		send(t, ch, route[0], route[1], "to "+route[1])
		d := receive(t, replies)
		if string(d.Body) != "re: to "+route[1] {
			t.Errorf("reply %q", d.Body)
		}
		// The properties are those recorded in wire/21.4.
		if d.ContentType != "application/json" || d.ContentEncoding != "utf-8" || d.DeliveryMode != 2 || d.Priority != 0 ||
			d.Expiration != "" || d.MessageId != "" || d.CorrelationId != "" || d.ReplyTo != "" || len(d.Headers) != 0 {
			t.Errorf("properties %+v", d)
		}
	}
	// Every queue is empty again: what was acked does not come back.
	for _, name := range []string{cfg.Topic, cfg.Topic + ".host-1"} {
		if q, err := ch.QueueDeclarePassive(name, false, false, false, false, nil); err != nil || q.Messages != 0 {
			t.Errorf("%s: %d messages, %v", name, q.Messages, err)
		}
	}
}

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

func TestStopHandsBackWhatNobodyHandled(t *testing.T) {
	cfg := serverConfig(t)
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	cfg.Concurrency = 1
	entered, release := make(chan struct{}), make(chan struct{})
	s, stop := startServer(t, cfg, func(ctx context.Context, d *Delivery) {
		close(entered)
		<-release
		if err := d.Ack(); err != nil {
			t.Errorf("the handler could not finish: %v", err)
		}
		if ctx.Err() != nil {
			t.Error("the handler's context ended")
		}
	})
	ch := client(t)
	for _, body := range []string{"first", "second", "third"} {
		send(t, ch, cfg.Exchange, cfg.Topic+".host-1", body)
	}
	<-entered
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop()
	}()
	eventually(t, "the consumer is cancelled", func() bool {
		q, err := ch.QueueDeclarePassive(cfg.Topic+".host-1", false, false, false, false, nil)
		return err == nil && q.Consumers == 0
	})
	close(release)
	<-stopped
	if _, err := ch.QueueDeclarePassive(s.fanout.name, false, false, false, false, nil); err == nil {
		t.Error("the fanout queue is still there")
	}
	ch = client(t)
	for _, want := range []string{"second", "third"} {
		d, ok, err := ch.Get(cfg.Topic+".host-1", true)
		if err != nil || !ok || string(d.Body) != want {
			t.Errorf("queue holds %q, %v, %v; want %s", d.Body, ok, err, want)
		}
	}
	ch.Close()
}

// The declarations equal those of oslo.messaging: a second declaration with other arguments would be refused.
func TestTopology(t *testing.T) {
	for name, tc := range map[string]struct {
		set              func(*Options)
		durable, delete  bool
		args             amqp.Table
		transientDurable bool
		transientArgs    amqp.Table
	}{
		"default": {func(*Options) {}, false, false, amqp.Table{}, false, amqp.Table{"x-expires": 1800000}},
		"durable": {func(o *Options) { o.DurableQueues = true; o.TransientTTL = 0 }, true, false, amqp.Table{}, false, amqp.Table{}},
		"auto_delete": {func(o *Options) { o.AutoDelete = true; o.TransientTTL = time.Minute }, false, true, amqp.Table{}, false,
			amqp.Table{"x-expires": 60000}},
		"quorum": {func(o *Options) { o.QuorumQueue = true; o.QuorumDeliveryLimit = 3; o.QuorumMaxMemoryLength = 100 }, true, false,
			amqp.Table{"x-queue-type": "quorum", "x-delivery-limit": 3, "x-max-in-memory-length": 100}, false,
			amqp.Table{"x-expires": 1800000}},
		"transient quorum": {func(o *Options) { o.TransientQuorumQueue = true }, false, false, amqp.Table{}, true,
			amqp.Table{"x-expires": 1800000, "x-queue-type": "quorum"}},
		"ha": {func(o *Options) { o.HAQueues = true }, false, false, amqp.Table{"x-ha-policy": "all"}, false,
			amqp.Table{"x-expires": 1800000, "x-ha-policy": "all"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := serverConfig(t)
			tc.set(&cfg.Options)
			s, _ := startServer(t, cfg, func(context.Context, *Delivery) {})
			p := startPublisher(t, cfg.Config)
			if err := p.Notify(timeout(t), "events-"+t.Name()+".info", []byte("x")); err != nil {
				t.Fatal(err)
			}
			ch := client(t)
			check := func(what string, err error) {
				t.Helper()
				if err != nil {
					t.Errorf("%s: %v", what, err)
					ch = client(t)
				}
			}
			check("exchange", ch.ExchangeDeclare(cfg.Exchange, "topic", tc.durable, tc.delete, false, false, nil))
			check("fanout exchange", ch.ExchangeDeclare(cfg.Topic+"_fanout", "fanout", tc.transientDurable, true, false, false, nil))
			for _, q := range []string{cfg.Topic, cfg.Topic + ".host-1", "events-" + t.Name() + ".info"} {
				_, err := ch.QueueDeclare(q, tc.durable, tc.delete, false, false, tc.args)
				check(q, err)
			}
			_, err := ch.QueueDeclare(s.fanout.name, tc.transientDurable, false, false, false, tc.transientArgs)
			check("fanout queue", err)
		})
	}
}

func TestOppositeDurabilityIsTaken(t *testing.T) {
	cfg := serverConfig(t)
	ch := client(t)
	if err := ch.ExchangeDeclare(cfg.Exchange, "topic", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := ch.QueueDeclare(cfg.Topic+".host-1", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	got := make(chan string)
	startServer(t, cfg, func(_ context.Context, d *Delivery) {
		if err := d.Ack(); err != nil {
			t.Error(err)
		}
		got <- string(d.Body)
	})
	send(t, ch, cfg.Exchange, cfg.Topic+".host-1", "hello")
	if body := <-got; body != "hello" {
		t.Errorf("received %q", body)
	}
}

// A queue that was deleted under the server is made again.
func TestDeletedQueueComesBack(t *testing.T) {
	cfg := serverConfig(t)
	got := make(chan string)
	startServer(t, cfg, func(_ context.Context, d *Delivery) {
		if err := d.Ack(); err != nil {
			t.Error(err)
		}
		got <- string(d.Body)
	})
	ch := client(t)
	if _, err := ch.QueueDelete(cfg.Topic+".host-1", false, false, false); err != nil {
		t.Fatal(err)
	}
	returns := ch.NotifyReturn(make(chan amqp.Return, 1))
	arrived := ""
	eventually(t, "a message arrives", func() bool {
		if err := ch.Publish(cfg.Exchange, cfg.Topic+".host-1", true, false, amqp.Publishing{Body: []byte("hello")}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-returns:
			return false
		case arrived = <-got:
			return true
		}
	})
	if arrived != "hello" {
		t.Errorf("received %q", arrived)
	}
}

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
