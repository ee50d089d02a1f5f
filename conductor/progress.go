package conductor

import (
	"context"
	"encoding/json"
	"math"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/local"
)

// ProgressTopic is the first part of the routing key of progress events. It is not one of ironic's notification topics,
// whose queues fill up when nobody reads them.
const ProgressTopic = "ironmaster_progress"

// Flows and how they can end, as progress events name them.
const (
	flowDeploy   = "deploy"
	flowClean    = "clean"
	flowInspect  = "inspect"
	flowRescue   = "rescue"
	flowUnrescue = "unrescue"
	flowService  = "service"

	flowStart = "start"
	flowEnd   = "end"
	flowError = "error"
	// flowUpdate is a step's beginning or a sign of life in it.
	flowUpdate = "update"
)

// ProgressPayload is what a progress event says (docs/events.md).
type ProgressPayload struct {
	NodeUUID       string  `json:"node_uuid"`
	NodeName       *string `json:"node_name"`
	InstanceUUID   *string `json:"instance_uuid"`
	Conductor      string  `json:"conductor"`
	ProvisionState string  `json:"provision_state"`
	Flow           string  `json:"flow"`
	// Step is "interface.step", null between steps. Index counts from 0 to Total-1.
	Step  *string `json:"step"`
	Index *int    `json:"index"`
	Total *int    `json:"total"`
	// Percent is of the step's bytes, null where they are unknown.
	Percent    *float64 `json:"percent"`
	BytesDone  *int64   `json:"bytes_done"`
	BytesTotal *int64   `json:"bytes_total"`
	// Rate is in bytes a second, ETA in seconds.
	Rate *float64 `json:"rate"`
	ETA  *float64 `json:"eta"`
	// Waiting tells that somebody else has to act; Reason says who and what, or why the flow failed.
	Waiting bool    `json:"waiting"`
	Reason  *string `json:"reason"`
}

// flowProgress is where the running flow of a node stands.
type flowProgress struct {
	flow  string
	step  string
	index int
	total int
	// began and from are when and where the bytes of the step began to flow; sent is when an event last told.
	began time.Time
	from  int64
	sent  time.Time
	done  int64
}

// progressBoard holds the running flows by node.
type progressBoard struct {
	mu    sync.Mutex
	flows map[string]*flowProgress
}

// set says where a node's flow stands now.
func (b *progressBoard) set(node string, p flowProgress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flows[node] = &p
}

// with runs fn on the node's flow, if one runs: what is told late of a flow that has ended is of no interest.
func (b *progressBoard) with(node string, fn func(*flowProgress)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.flows[node]; p != nil {
		fn(p)
	}
}

func (b *progressBoard) drop(node string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.flows, node)
}

// reportFlow announces a flow's beginning or failure.
func (t *task) reportFlow(ctx context.Context, flow, status, reason string) {
	t.reportFlowAs(ctx, uuid.NewString(), flow, status, reason)
}

// reportFlowEnd announces that a flow ended well, together with the move that ended it.
func (t *task) reportFlowEnd(ctx context.Context, announcement, flow string) {
	t.reportFlowAs(ctx, flowEventID(announcement), flow, flowEnd, "")
}

func (t *task) reportFlowAs(_ context.Context, id, flow, status, reason string) {
	t.c.metrics.flows.WithLabelValues(flow, status).Inc()
	p := t.progressPayload(flow)
	p.Reason = optional(reason)
	t.c.postProgress(id, t.Node, status, p, t.request)
	if status == flowStart {
		t.c.progress.set(t.Node.UUID, flowProgress{flow: flow})
	} else {
		t.c.progress.drop(t.Node.UUID)
	}
}

// reportStep announces that a step begins.
func (t *task) reportStep(_ context.Context, kind drivers.StepKind, index int, step store.Dict) {
	name, total := stepID(step), len(t.flowSteps(kind))
	t.c.progress.set(t.Node.UUID, flowProgress{flow: string(kind), step: name, index: index, total: total, sent: t.c.now()})
	p := t.progressPayload(string(kind))
	p.Step, p.Index, p.Total = &name, &index, &total
	t.c.postProgress(uuid.NewString(), t.Node, flowUpdate, p, t.request)
}

// rememberProgress takes up again, after a restart, where the row says that a flow stands.
func (t *task) rememberProgress(kind drivers.StepKind) {
	step := *stepColumn(t.Node, kind)
	index, _, err := t.Node.DriverInternalInfo.Int(string(kind) + "_step_index")
	if len(step) == 0 || err != nil {
		return
	}
	t.c.progress.set(t.Node.UUID, flowProgress{flow: string(kind), step: stepID(step), index: int(index),
		total: len(t.flowSteps(kind))})
}

// stepless are the flows that have no steps, by the states in which they may be cut short.
var stepless = map[string]string{store.Inspecting: flowInspect, store.InspectWait: flowInspect, store.Rescuing: flowRescue,
	store.RescueWait: flowRescue, store.Unrescuing: flowUnrescue}

// rememberStepless is rememberProgress for a flow without steps.
func (t *task) rememberStepless() {
	if flow := stepless[t.Node.ProvisionState]; flow != "" {
		t.c.progress.set(t.Node.UUID, flowProgress{flow: flow})
	}
}

func (t *task) progressPayload(flow string) ProgressPayload {
	return newProgress(t.c.cfg.Host, t.Node, flow)
}

func newProgress(host string, n *store.Node, flow string) ProgressPayload {
	return ProgressPayload{NodeUUID: n.UUID, NodeName: n.Name, InstanceUUID: optional(n.InstanceUUID), Conductor: host,
		ProvisionState: n.ProvisionState, Flow: flow}
}

// Report is drivers.Worker: a driver tells how far its step is. Bytes are told at most once in ProgressInterval, and
// always when they are complete.
func (c *Conductor) Report(dt *drivers.Task, p drivers.Progress) {
	c.noteProgress(dt.Node, p)
	if event := c.progressEvent(dt.Node.UUID, p); event != nil {
		c.tellProgress(dt.Node, event)
	}
}

// progressEvent says what is to be told of a node's flow, without what is the node's; nil when it is too early, or no
// flow of that node runs here.
func (c *Conductor) progressEvent(node string, p drivers.Progress) (event *ProgressPayload) {
	now := c.now()
	c.progress.with(node, func(f *flowProgress) {
		complete := p.Total > 0 && p.Bytes >= p.Total && f.done < p.Total
		moved := p.Bytes > 0
		if moved && (f.began.IsZero() || p.Bytes < f.done) {
			// Another pass over the bytes begins: converted after downloaded, served after converted, served again.
			f.began, f.from = now, p.Bytes
		}
		if moved && !complete && now.Sub(f.sent) < c.live().ProgressInterval {
			f.done = p.Bytes
			return
		}
		f.sent, f.done = now, p.Bytes
		event = &ProgressPayload{Flow: f.flow, Waiting: p.Waiting, Reason: optional(p.Doing)}
		if f.step != "" {
			step, index, total := f.step, f.index, f.total
			event.Step, event.Index, event.Total = &step, &index, &total
		}
		if moved {
			f.measure(event, p, now)
		}
	})
	return event
}

// tellProgress completes an event with what is the node's, and posts it.
func (c *Conductor) tellProgress(n *store.Node, event *ProgressPayload) {
	whole := newProgress(c.cfg.Host, n, event.Flow)
	event.NodeUUID, event.NodeName, event.InstanceUUID = whole.NodeUUID, whole.NodeName, whole.InstanceUUID
	event.Conductor, event.ProvisionState = whole.Conductor, whole.ProvisionState
	c.postProgress(uuid.NewString(), n, flowUpdate, *event, oslo.AdminContext())
}

// measure fills in percent, rate and ETA from what flowed since the step's first byte.
func (f *flowProgress) measure(e *ProgressPayload, p drivers.Progress, now time.Time) {
	e.BytesDone = &p.Bytes
	if elapsed := now.Sub(f.began).Seconds(); elapsed > 0 && p.Bytes > f.from {
		rate := math.Round(float64(p.Bytes-f.from) / elapsed)
		e.Rate = &rate
		if p.Total > 0 && rate > 0 {
			eta := math.Round(float64(p.Total-p.Bytes) / rate)
			e.ETA = &eta
		}
	}
	if p.Total > 0 {
		percent := math.Round(1000*math.Min(1, float64(p.Bytes)/float64(p.Total))) / 10
		e.BytesTotal, e.Percent = &p.Total, &percent
	}
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// postProgress tells followers of an event and puts it into the outbox. Updates are kept in memory only: after a crash
// newer ones follow.
func (c *Conductor) postProgress(id string, n *store.Node, status string, p ProgressPayload, rq oslo.Context) {
	if c.notifier == nil && !c.feed.followed() {
		return
	}
	level := "info"
	if status == flowError {
		level = "error"
	}
	data, err := json.Marshal(p)
	if err != nil {
		c.log.Error().Err(err).Msg("Encoding a progress event failed")
		return
	}
	payload, err := json.Marshal(map[string]any{
		"ironic_object.name": "NodeDeployProgressPayload", "ironic_object.namespace": "ironmaster",
		"ironic_object.version": "1.0", "ironic_object.data": json.RawMessage(data),
	})
	if err != nil {
		c.log.Error().Err(err).Msg("Encoding a progress event failed")
		return
	}
	note := oslo.Notification{MessageID: id, PublisherID: "ironic-conductor." + c.cfg.PublisherHost,
		EventType: "baremetal.node.deploy_progress." + status, Priority: priorityText(level), Payload: payload,
		Timestamp: c.now(), Context: rq}
	body, err := note.Encode()
	if err == nil {
		c.feed.tell(body)
	}
	if err == nil && c.notifier != nil {
		event := local.Event{ID: note.MessageID, Node: n.UUID, Topic: ProgressTopic + "." + level, Body: body,
			Droppable: true, Volatile: status == flowUpdate}
		err = c.untilRoom(c.workCtx, "a progress event", func() error { return c.local.Append(event) })
	}
	if err != nil {
		c.log.Error().Err(err).Msg("A progress event could not be written")
	}
}
