package tftp

import "time"

// Config says what is served where. DefaultConfig gives what is not chosen by an operator.
type Config struct {
	// Listen is the UDP address, for example :69. Empty serves nothing.
	Listen string
	// Root is the folder ([pxe]tftp_root).
	Root string
	// MaxTransfers run at once. As many more wait for a place for QueueTime; what comes on top is refused.
	MaxTransfers int
	QueueTime    time.Duration
	// RateLimit is bytes a second of each transfer; 0 sets no limit.
	RateLimit int64
	// Timeout is the wait for an acknowledgement before a block is sent again, at first; it grows by itself each time. After
	// so many Retries the peer is given up.
	Timeout time.Duration
	Retries int
	// Longest is how long a transfer may take, however often its peer acknowledges a block.
	Longest time.Duration
}

// DefaultConfig returns the defaults of [ironmaster], and what no option changes.
func DefaultConfig() Config {
	return Config{Root: "/tftpboot", MaxTransfers: 1000, QueueTime: 10 * time.Second, Timeout: time.Second, Retries: 5,
		Longest: 2 * time.Hour}
}
