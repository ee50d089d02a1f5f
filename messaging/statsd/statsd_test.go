package statsd

import (
	"bytes"
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// The lines are those that ironic-lib sends.
func TestLines(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	c := New(server.LocalAddr().String(), zerolog.Nop())
	run(t, c)
	for _, sent := range []struct {
		send func()
		want string
	}{
		{func() { c.Time("ironic.conductor.manager.ConductorManager.create_node", 12345678*time.Nanosecond) },
			"ironic.conductor.manager.ConductorManager.create_node:12.345678|ms"},
		{func() { c.Time("short", 15*time.Nanosecond) }, "short:0.000015|ms"},
		{func() { c.Gauge("site.PowerSyncNodesCount", 17) }, "site.PowerSyncNodesCount:17|g"},
	} {
		sent.send()
		buffer := make([]byte, 1500)
		n, _, err := server.ReadFrom(buffer)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(buffer[:n]); got != sent.want {
			t.Errorf("got %q, want %q", got, sent.want)
		}
	}
}

// Whoever measures is never held up, however many lines nobody takes.
func TestDropsWhatNobodyTakes(t *testing.T) {
	c := New("127.0.0.1:1", zerolog.Nop())
	for range 2 * backlog {
		c.Gauge("nodes", 1)
	}
	if len(c.lines) != backlog {
		t.Errorf("%d lines wait", len(c.lines))
	}
}

// A name that cannot be found is told of, once.
func TestTellsOnce(t *testing.T) {
	var log bytes.Buffer
	c := New("no.such.host.invalid:8125", zerolog.New(&log))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { c.Run(ctx); close(done) }()
	// Taken one after the other: the third is taken when the second has failed.
	for range 3 {
		select {
		case c.lines <- "a:1|g":
		case <-t.Context().Done():
		}
	}
	for len(c.lines) > 0 {
		select {
		case <-done:
			t.Fatal("Run ended by itself")
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	<-done
	if n := strings.Count(log.String(), "Measurements cannot be sent"); n != 1 {
		t.Errorf("told %d times: %s", n, log.String())
	}
}

func run(t *testing.T, c *Client) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { c.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
}
