// Package tcp dials connections that notice a peer which went silent without closing them: a host that lost its power, a
// network that was cut.
package tcp

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Silence is how long data may stay unacknowledged before the kernel gives a connection up (RFC 5482). Without it a write
// to a dead peer is retransmitted for a quarter of an hour, and so is one that was given up already: what it carries would
// take effect when the network comes back, long after it was sent again elsewhere.
const Silence = 20 * time.Second

// Dialer connects within timeout.
func Dialer(timeout time.Duration) *net.Dialer {
	return &net.Dialer{
		Timeout: timeout,
		// Idle connections are asked for a sign of life. On Linux the user timeout bounds these probes too.
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: Silence / 2, Interval: Silence / 4, Count: 2},
		Control:         boundSilence,
	}
}

func boundSilence(network, _ string, conn syscall.RawConn) error {
	if network == "unix" {
		return nil
	}
	var failed error
	err := conn.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(Silence.Milliseconds()))
	})
	if err != nil {
		return err
	}
	return failed
}
