package conductor

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/local"
)

// The kinds of moments in a node's timeline. Those of exchanges are the peers of drivers.Exchange.
const (
	momentRequest   = "request"
	momentState     = "state"
	momentStep      = "step"
	momentPower     = "power"
	momentProgress  = "progress"
	momentHeartbeat = "heartbeat"
	momentLookup    = "lookup"
	momentError     = "error"
	momentWorker    = "worker"
)

// longestResult bounds what a peer may put into a timeline with one answer.
const longestResult = 500

// note puts a moment into a node's timeline, without the node's secrets. The text is our own; the result may be a peer's.
func (c *Conductor) note(n *store.Node, m local.Moment) {
	if m.At.IsZero() {
		m.At = c.now()
	}
	m.Text, m.Result = withoutSecrets(n, m.Text), withoutSecrets(n, m.Result)
	truncate(&m.Result, longestResult)
	c.local.Note(n.UUID, m)
}

// turn notes what a person looks for first.
func (t *task) turn(kind, text string) {
	t.c.note(t.Node, local.Moment{Kind: kind, Text: text, Turn: true})
}

// noteResult notes something routine and what came of it.
func (t *task) noteResult(kind, text, result string, err error) {
	m := local.Moment{Kind: kind, Text: text, Result: result}
	if err != nil {
		m.Failed, m.Result = true, err.Error()
	}
	t.c.note(t.Node, m)
}

// noteRequest notes what was asked of a node when, and whether it was taken. Reads and the calls of agents are left out:
// those that matter are noted where they are worked on.
func (c *Conductor) noteRequest(r *oslo.Request, at time.Time, err error) {
	var node string
	if json.Unmarshal(r.Args["node_id"], &node) != nil || uuid.Validate(node) != nil || store.KindOf(err) == store.NodeNotFound ||
		c.methods[r.Method].readOnly || r.Method == "heartbeat" || r.Method == "get_node_with_token" {
		return
	}
	m := local.Moment{At: at, Kind: momentRequest, Text: r.Method, Result: strings.TrimSpace("taken " + r.Context.RequestID)}
	if err != nil {
		m.Failed, m.Result = true, err.Error()
	}
	c.note(&store.Node{UUID: node}, m)
}

// quietPurposes are tasks that ask every BMC again and again; of their exchanges only the failed ones are kept.
var quietPurposes = []string{"power state sync", "power failure recovery"}

// overheard returns a context whose exchanges with the machine come into the node's timeline.
func (t *task) overheard(ctx context.Context) context.Context {
	return drivers.Overheard(ctx, func(e drivers.Exchange) {
		if e.Err == nil && slices.Contains(quietPurposes, t.purpose) {
			return
		}
		result := e.Answer
		if result != "" {
			result += ", " + took(e.Took)
		}
		t.noteResult(string(e.With), e.Asked, result, e.Err)
	})
}

// took is a short time as people read it.
func took(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "<1 ms"
	case d < 10*time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return Span(d)
}

// noteProgress notes what a step does; of bytes only where they stand.
func (c *Conductor) noteProgress(n *store.Node, p drivers.Progress) {
	if p.Doing == "" {
		return
	}
	m := local.Moment{Kind: momentProgress, Text: p.Doing}
	switch {
	case p.Bytes > 0 && p.Total > 0:
		m.Result = fmt.Sprintf("%s of %s", mebibytes(p.Bytes), mebibytes(p.Total))
	case p.Bytes > 0:
		m.Result = mebibytes(p.Bytes)
	}
	c.note(n, m)
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
