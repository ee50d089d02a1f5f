package conductor

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/local"
	"github.com/ironmaster/ironmaster/store/sql"
)

// acceptedCall is the entry of the inbox that a request runs for.
type acceptedCall struct {
	id string
	// begun tells that the request began its flow before the worker's last start.
	begun bool
	// again tells that the request was accepted before the worker's last start, which may have come in its middle.
	again bool
	// handed tells that the task which does the request's work in the background sees to the end of the entry.
	handed atomic.Bool
}

type callKey struct{}

// withCall hands the entry down to the task that the request takes.
func withCall(ctx context.Context, call *acceptedCall) context.Context {
	return context.WithValue(ctx, callKey{}, call)
}

func callOf(ctx context.Context) *acceptedCall {
	call, _ := ctx.Value(callKey{}).(*acceptedCall)
	return call
}

// earlierKept is how many requests a node remembers beside the last one: one for each worker that died with it and is not back.
const earlierKept = 8

// markRequest notes in the row which request a flow was begun by, in the UPDATE that begins it, and which request it goes on with. The
// former stays beside the latter: it may be in another worker's inbox still.
//
// Crash window: between that UPDATE and the entry's end the request is run again at the next start, and finds itself here.
func (t *task) markRequest(ctx context.Context) {
	call := callOf(ctx)
	if call == nil {
		return
	}
	entries := store.Dict{markCall: call.id, markOrigin: t.c.cfg.Host}
	earlier := slices.DeleteFunc(markedRequests(mark(t.Node)), func(r store.Dict) bool { return r.String(markCall) == call.id })
	if len(earlier) > 0 {
		entries[markEarlier] = anyList(earlier[:min(len(earlier), earlierKept)])
	}
	t.note(entries)
}

// begunCalls are the requests that had begun a flow when the worker stopped: by their ids. It is asked before anything goes on,
// since a flow that ends takes the mark with it.
func (c *Conductor) begunCalls(ctx context.Context) (map[string]bool, error) {
	nodes, err := c.db.Nodes(ctx, sql.Filter{InfoHas: markCall, IncludeChildren: true, Columns: []string{"uuid", "driver_internal_info"}})
	if err != nil {
		return nil, err
	}
	begun := map[string]bool{}
	for _, n := range nodes {
		for _, r := range markedRequests(mark(n)) {
			if strings.EqualFold(r.String(markOrigin), c.cfg.Host) {
				begun[r.String(markCall)] = true
			}
		}
	}
	return begun, nil
}

// hasBegun tells that the request which ctx is of has begun its flow already.
func hasBegun(ctx context.Context) bool {
	call := callOf(ctx)
	return call != nil && call.begun
}

// cutCalls are requests whose background work was cut short while the process lives on.
type cutCalls struct {
	mu  sync.Mutex
	ids []string
}

func (q *cutCalls) add(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ids = append(q.ids, id)
}

func (q *cutCalls) take() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	ids := q.ids
	q.ids = nil
	return ids
}

// handCall tells that the task sees to the end of the request's entry from here on.
func (t *task) handCall(ctx context.Context) *acceptedCall {
	call := callOf(ctx)
	if call != nil {
		call.handed.Store(true)
	}
	return call
}

// endCall takes the entry of a request out of the inbox, when that is in the task's hands. Work that was cut short is run
// again: by the next start, or here when the lease is renewed.
func (t *task) endCall(ctx context.Context, call *acceptedCall) {
	switch {
	case call == nil:
	case ctx.Err() != nil:
		t.c.cut.add(call.id)
	default:
		if err := t.c.finishCall(ctx, call.id); err != nil {
			t.Log.Error().Err(err).Msg("Marking a request as done failed")
		}
	}
}

// finishCall notes that a request has been run. Were that lost, the next start would run it again.
func (c *Conductor) finishCall(ctx context.Context, id string) error {
	return c.untilRoom(ctx, "the end of a request", func() error { return c.local.Finish(id) })
}

// runCutCalls runs again what a lapsed lease cut short.
func (c *Conductor) runCutCalls(ctx context.Context) error {
	ids := c.cut.take()
	if len(ids) == 0 {
		return nil
	}
	pending, err := c.local.Pending()
	if err != nil {
		return err
	}
	pending = slices.DeleteFunc(pending, func(call local.Call) bool { return !slices.Contains(ids, call.ID) })
	return c.replay(ctx, pending, nil)
}
