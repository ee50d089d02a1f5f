package rabbit

import (
	"context"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.uber.org/goleak"

	"github.com/ironmaster/ironmaster/messaging"
)

func TestCallAndReply(t *testing.T) {
	cfg := serverConfig(t)
	p := startPublisher(t, cfg.Config)
	startServer(t, cfg, func(ctx context.Context, d *Delivery) {
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

// A handler that stood aside does not count.
func TestAHandlerStandsAside(t *testing.T) {
	cfg := serverConfig(t)
	cfg.Concurrency = 1
	second, done := make(chan struct{}), make(chan struct{})
	_, stop := startServer(t, cfg, func(ctx context.Context, d *Delivery) {
		if err := d.Ack(); err != nil {
			t.Error(err)
		}
		if string(d.Body) == "second" {
			close(second)
			return
		}
		messaging.StandAside(ctx)
		<-second
		close(done)
	})
	ch := client(t)
	for _, body := range []string{"first", "second"} {
		send(t, ch, cfg.Exchange, cfg.Topic+".host-1", body)
	}
	<-done
	stop()
	ch.Close()
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
