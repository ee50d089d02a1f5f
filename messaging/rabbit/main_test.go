package rabbit

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/rs/zerolog"

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
