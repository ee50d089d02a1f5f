// Package statsd sends what a worker measures to a statsd, in the lines over UDP that all of its kin take.
package statsd

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/rs/zerolog"
)

const (
	// backlog is how many lines wait while a name is looked up; further ones are dropped.
	backlog = 1000
	// dialTimeout bounds a lookup of the host's name.
	dialTimeout = 5 * time.Second
	// writeTimeout bounds the handing over of one line to the kernel.
	writeTimeout = time.Second
)

// Client hands lines to a statsd. Nobody who measures waits for it: what cannot be sent is dropped.
type Client struct {
	address string
	lines   chan string
	log     zerolog.Logger
}

// New returns a client of the statsd at host:port. Nothing is sent before Run.
func New(address string, log zerolog.Logger) *Client {
	return &Client{address: address, lines: make(chan string, backlog), log: log}
}

// Time reports how long something took, in milliseconds with their fractions, as ironic does.
func (c *Client) Time(name string, took time.Duration) {
	ms := float64(took) / float64(time.Millisecond)
	c.queue(name + ":" + strconv.FormatFloat(ms, 'f', -1, 64) + "|ms")
}

// Gauge reports what something is at.
func (c *Client) Gauge(name string, value int) { c.queue(name + ":" + strconv.Itoa(value) + "|g") }

func (c *Client) queue(line string) {
	select {
	case c.lines <- line:
	default:
	}
}

// Run sends until ctx ends. A statsd that cannot be reached is told of once, until lines go out again.
func (c *Client) Run(ctx context.Context) {
	var conn net.Conn
	defer func() {
		if conn != nil {
			_ = conn.Close()
		}
	}()
	failing := false
	for {
		var line string
		select {
		case line = <-c.lines:
		case <-ctx.Done():
			return
		}
		var err error
		if conn, err = c.send(ctx, conn, line); err == nil {
			failing = false
			continue
		}
		if !failing && ctx.Err() == nil {
			c.log.Warn().Err(err).Msg("Measurements cannot be sent")
		}
		failing = true
	}
}

// send writes one line, and returns the socket for the next one: none after a failure, so that the name is looked up anew.
func (c *Client) send(ctx context.Context, conn net.Conn, line string) (net.Conn, error) {
	if conn == nil {
		dialer := net.Dialer{Timeout: dialTimeout}
		var err error
		if conn, err = dialer.DialContext(ctx, "udp", c.address); err != nil {
			return nil, fmt.Errorf("finding the statsd at %s: %w", c.address, err)
		}
	}
	err := conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err == nil {
		_, err = conn.Write([]byte(line))
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("sending to the statsd at %s: %w", c.address, err)
	}
	return conn, nil
}
