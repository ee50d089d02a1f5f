package conductor

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/local"
)

// provisionChange is one move through the state machine, to be announced.
type provisionChange struct {
	from          moment
	event, status string
	// flow is the flow that ended well with it, "" for none.
	flow string
	// shown is what is shown of the node's columns in place of what they hold, nil for that.
	shown *shownInfo
}

// notificationLevels in rising order; those below the configured one are not sent.
var notificationLevels = []string{"debug", "info", "warning", "error", "critical"}

// notifyProvision announces a move under a message id, "" for a new one.
func (t *task) notifyProvision(ctx context.Context, id string, change provisionChange) {
	node := *t.Node
	if change.shown != nil {
		node.InstanceInfo, node.DriverInternalInfo = change.shown.instance, change.shown.internal
	}
	t.notifyOf(ctx, &node, id, "baremetal.node.provision_set."+change.status, "NodeSetProvisionStatePayload", map[string]any{
		"event": change.event, "previous_provision_state": nullable(change.from.State),
		"previous_target_provision_state": nullable(change.from.Target),
	})
	// gofail: var eventNotified struct{}
}

func (t *task) notifyPower(ctx context.Context, status, requested string) {
	became := map[string]string{"start": "asked for", "end": "reached", "error": "failed"}[status]
	t.noteResult(momentPower, requested+" "+became, "", nil)
	t.notify(ctx, "baremetal.node.power_set."+status, "NodeSetPowerStatePayload",
		map[string]any{"to_power": nullable(requested)})
}

func (t *task) notifyPowerCorrected(ctx context.Context, before string) {
	t.notify(ctx, "baremetal.node.power_state_corrected.success", "NodeCorrectedPowerStatePayload",
		map[string]any{"from_power": nullable(before)})
}

// notify puts a versioned notification about the node into the outbox, from where it is published with the broker's
// confirm, again after a restart if need be. A notification that can't be written is no reason to stop the work.
func (t *task) notify(ctx context.Context, eventType, class string, extra map[string]any) {
	t.notifyOf(ctx, t.Node, "", eventType, class, extra)
}

// notifyOf shows a node as it is given, under a message id, "" for a new one.
func (t *task) notifyOf(_ context.Context, node *store.Node, id, eventType, class string, extra map[string]any) {
	level := levelOf(statusOf(eventType))
	if !t.c.notifies(level) && !t.c.feed.followed() {
		return
	}
	payload, err := json.Marshal(nodePayload(class, t.c.cfg.Release, node, extra))
	if err == nil {
		err = t.c.post(cmp.Or(id, uuid.NewString()), t.Node.UUID, eventType, level, payload, t.request)
	}
	if err != nil {
		t.Log.Error().Err(err).Str("event_type", eventType).Msg("A notification could not be written")
	}
}

// levelOf is the level of a notification whose event type ends in a status.
func levelOf(status string) string {
	if status == "error" {
		return "error"
	}
	return "info"
}

func statusOf(eventType string) string {
	for i := len(eventType) - 1; i >= 0; i-- {
		if eventType[i] == '.' {
			return eventType[i+1:]
		}
	}
	return eventType
}

// notifies tells whether notifications of a level are wanted by anybody.
func (c *Conductor) notifies(level string) bool {
	if c.notifier == nil || c.cfg.NotificationLevel == "" || !slices.ContainsFunc(c.cfg.NotificationDrivers, SendsToBroker) {
		return false
	}
	return slices.Index(notificationLevels, level) >= slices.Index(notificationLevels, c.cfg.NotificationLevel)
}

// SendsToBroker tells whether a notification driver needs a broker.
func SendsToBroker(driver string) bool { return driver == "messagingv2" || driver == "messaging" }

// post tells followers of one event, and writes it to the outbox for each configured topic where it is wanted.
func (c *Conductor) post(id, node, eventType, level string, payload json.RawMessage, rq oslo.Context) error {
	n := oslo.Notification{
		MessageID: id, PublisherID: "ironic-conductor." + c.cfg.PublisherHost, EventType: eventType,
		Priority: priorityText(level), Payload: payload, Timestamp: c.now(), Context: rq,
	}
	encode := n.EncodeBare
	if slices.Contains(c.cfg.NotificationDrivers, "messagingv2") {
		encode = n.Encode
	}
	body, err := encode()
	if err != nil {
		return err
	}
	c.feed.tell(body)
	if !c.notifies(level) {
		return nil
	}
	var events []local.Event
	for _, topic := range c.cfg.NotificationTopics {
		events = append(events, local.Event{ID: n.MessageID, Node: node, Topic: topic + "." + routingLevel(level),
			Body: body})
	}
	// gofail: var outboxBeforeAppend struct{}
	return c.untilRoom(c.workCtx, "a notification", func() error { return c.local.Append(events...) })
}

// priorityText and routingLevel are a level as the envelope and the routing key hold it: "warning" is shortened there.
func priorityText(level string) string {
	switch level {
	case "error":
		return "ERROR"
	case "warning":
		return "WARN"
	}
	return "INFO"
}

func routingLevel(level string) string {
	if level == "warning" {
		return "warn"
	}
	return level
}
