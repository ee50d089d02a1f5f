package bmc

import (
	"fmt"
	"sync"
	"time"
)

// circuit remembers whether a BMC answers. One that left several requests in a row without an answer counts as silent: work
// that nobody waits for is refused at once, until the pause since the latest attempt is over and one request finds out anew.
// The pause is as long as the silence so far. What a user or a flow asks for is always tried.
type circuit struct {
	shortest, longest time.Duration // of the pause

	mu sync.Mutex
	// unanswered counts the requests in a row, first and last tell when they failed, cause why the last one did.
	unanswered  int
	first, last time.Time
	cause       error
}

// breakAfter is how many requests in a row a BMC must leave unanswered to count as silent.
const breakAfter = 3

// silentBMC is the refusal of a request because its BMC has not answered for a while.
type silentBMC struct {
	since      time.Time
	unanswered int
	cause      error
}

func (e *silentBMC) Error() string {
	return fmt.Sprintf("it has not answered since %s (%d requests in a row): %s",
		e.since.UTC().Format("2006-01-02 15:04:05 UTC"), e.unanswered, e.cause)
}

func (e *silentBMC) Unwrap() error { return e.cause }

// admit refuses a request that was asked for at a time, and is routine or not. The caller has the BMC's turn: so the request
// that finds out anew is the only one. Those that waited behind it share what it found.
func (c *circuit) admit(routine bool, asked time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unanswered < breakAfter {
		return nil
	}
	pause := min(max(c.last.Sub(c.first), c.shortest), c.longest)
	if c.last.After(asked) || routine && time.Since(c.last) < pause {
		return &silentBMC{c.first, c.unanswered, c.cause}
	}
	return nil
}

// failed notes a request without an answer, and tells whether the BMC counts as silent from now on.
func (c *circuit) failed(cause error) (broke bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last, c.cause = time.Now(), cause
	if c.unanswered++; c.unanswered == 1 {
		c.first = c.last
	}
	return c.unanswered == breakAfter
}

// answered notes an answer, and tells how long the BMC was silent before it; 0 when it was not.
func (c *circuit) answered() (silence time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unanswered >= breakAfter {
		silence = time.Since(c.first)
	}
	c.unanswered, c.cause = 0, nil
	return silence
}

// silent tells whether the BMC counts as silent.
func (c *circuit) silent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unanswered >= breakAfter
}

// stale tells that nothing need be remembered: the BMC answered last time, or nobody has asked it for long.
func (c *circuit) stale(after time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unanswered == 0 || time.Since(c.last) > after
}
