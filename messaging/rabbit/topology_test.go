package rabbit

import (
	"context"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

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
