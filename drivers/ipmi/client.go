package ipmi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/bmc"
	"github.com/ironmaster/ironmaster/store"
)

// transport brings one command to a BMC, once. Its errors are *failure, or that of the context.
type transport interface {
	send(ctx context.Context, to target, c command) (reply, error)
}

// failure is why a command came to nothing.
type failure struct {
	text string
	// silent tells that the BMC said nothing, cipher that it does not know the cipher suite, mute that the transport cannot speak
	// with it, and refused that it does not do what was asked and will not when asked again.
	silent, cipher, mute, refused bool
}

func (e *failure) Error() string { return e.text }

// Client sends commands to BMCs. It is safe for concurrent use; different BMCs never wait for each other.
type Client struct {
	cfg   Config
	log   zerolog.Logger
	lines *bmc.Lines
	tool  transport
	own   transport // nil: ipmitool does it all
	ports *portPool

	mu sync.Mutex
	// asked tells when a BMC was last asked, by its address.
	asked map[string]time.Time
}

// New returns a Client that knows no BMC yet.
func New(cfg Config, log zerolog.Logger) *Client {
	c := &Client{cfg: cfg, log: log, lines: bmc.NewLines(cfg.ProbePause, cfg.LongestProbePause, log), tool: &ipmitool{cfg},
		ports: newPortPool(cfg.Console), asked: map[string]time.Time{}}
	if cfg.Transport == TransportAuto {
		c.own = &library{}
	}
	return c
}

// Interfaces are those of the hardware type ipmi, by ironic's names.
func Interfaces(c *Client) map[drivers.InterfaceType]map[string]drivers.Interface {
	return map[drivers.InterfaceType]map[string]drivers.Interface{
		drivers.TypeConsole:    {"ipmitool-socat": NewConsole(c), "ipmitool-shellinabox": NewWebConsole(c)},
		drivers.TypeManagement: {"ipmitool": NewManagement(c), "intel-ipmitool": NewIntelManagement(c)},
		drivers.TypePower:      {"ipmitool": NewPower(c)},
		drivers.TypeVendor:     {"ipmitool": NewVendor(c)},
	}
}

// Silent is how many BMCs do not answer at the moment.
func (c *Client) Silent() int { return c.lines.Silent() }

// run sends a command until it is answered or the time for it is over, as ironic does: with a pause between any two commands to
// one BMC, and with another cipher suite where one is refused. It fails with ironic's IPMIFailure, whose text says no more than
// which command it was; log and timeline say why.
func (c *Client) run(ctx context.Context, t *drivers.Task, to target, what command) (reply, error) {
	line := c.lines.To(to.key())
	defer c.lines.Drop(line)
	if err := line.Enter(bmc.WithAsking(ctx, bmc.Asking{Routine: t.Routine})); err != nil {
		if ctx.Err() != nil {
			return reply{}, fmt.Errorf("waiting for the BMC %s: %w", to.address, context.Cause(ctx))
		}
		return reply{}, c.failed(t, to, what, err)
	}
	defer line.Leave()
	end := time.Now().Add(c.cfg.RetryTimeout)
	tries := cmp.Or(c.cfg.Tries, max(int(c.cfg.RetryTimeout/c.cfg.Interval), 1))
	changes := to.cipherSuite == "" && len(c.cfg.CipherSuites) > 0
	for try := 1; ; try++ {
		if err := c.pace(ctx, to); err != nil {
			return reply{}, err
		}
		r, err := c.once(ctx, to, what)
		if ctx.Err() != nil {
			return reply{}, fmt.Errorf("speaking to the BMC %s: %w", to.address, context.Cause(ctx))
		}
		var why *failure
		if !errors.As(err, &why) || !why.silent {
			line.Answered()
		} else {
			line.Unanswered(err)
		}
		if err == nil || what.once {
			return r, nil
		}
		if changes = changes && why != nil && why.cipher; changes {
			to.cipherSuite = c.nextSuite(to.cipherSuite)
		}
		if try == tries || !time.Now().Before(end) || !c.again(why) || t.Routine && line.Silent() {
			return reply{}, c.failed(t, to, what, err)
		}
		t.Log.Debug().Err(err).Str("bmc", to.address).Str("command", what.words).Msg("An IPMI command failed and is tried again")
	}
}

// failed tells the log why a command failed, and the user that it did.
func (c *Client) failed(t *drivers.Task, to target, what command, err error) error {
	t.Log.Warn().Err(err).Str("bmc", to.address).Str("command", what.words).Msg("An IPMI command failed")
	return store.Errorf(store.IPMIFailure, "IPMI call failed: %s.", what.words)
}

// passing are failures that go away by themselves, in the words of ipmitool (ironic's IPMITOOL_RETRYABLE_FAILURES).
var passing = []string{"insufficient resources for session", "Node busy", "Timeout", "Out of space",
	"BMC initialization in progress"}

// again tells whether a command that failed is tried once more.
func (c *Client) again(why *failure) bool {
	if why == nil {
		return false
	}
	listed := slices.ContainsFunc(slices.Concat(passing, c.cfg.RetryableErrors), func(text string) bool {
		return strings.Contains(why.text, text)
	})
	return listed || !c.cfg.ToolRetries && !why.refused
}

// nextSuite is the cipher suite to try after one that was refused: the last of the list first.
func (c *Client) nextSuite(refused string) string {
	all := c.cfg.CipherSuites
	if i := slices.Index(all, refused); i >= 0 {
		return all[max(i-1, 0)]
	}
	return all[len(all)-1]
}

// once sends a command one time, by the transport that can, and tells whoever listens.
func (c *Client) once(ctx context.Context, to target, what command) (reply, error) {
	began := time.Now()
	defer func() { c.note(to) }()
	var r reply
	err := error(&failure{mute: true})
	if c.own != nil && speaks(to, what) {
		r, err = c.own.send(ctx, to, what)
	}
	if why := (*failure)(nil); errors.As(err, &why) && why.mute {
		r, err = c.tool.send(ctx, to, what)
	}
	heard := drivers.Exchange{With: drivers.WithBMC, Asked: "IPMI " + what.words, Took: time.Since(began), Err: err}
	if err == nil {
		heard.Answer = "ok"
	}
	drivers.Overhear(ctx, heard)
	return r, err
}

// pace waits until the BMC may be asked again.
func (c *Client) pace(ctx context.Context, to target) error {
	c.mu.Lock()
	last, known := c.asked[to.key()]
	c.mu.Unlock()
	if !known {
		return nil
	}
	if wait := c.cfg.Interval - time.Since(last); wait > 0 {
		return drivers.Pause(ctx, wait)
	}
	return nil
}

// note remembers when the BMC was asked, and forgets those that may be asked anyway.
func (c *Client) note(to target) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	const many = 512
	if len(c.asked) > many {
		for key, last := range c.asked {
			if now.Sub(last) > c.cfg.Interval {
				delete(c.asked, key)
			}
		}
	}
	c.asked[to.key()] = now
}
