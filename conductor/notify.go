package conductor

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store/local"
)

// provisionChange is one move through the state machine, to be announced.
type provisionChange struct {
	from, to      moment
	event, status string
	// id is that of the message, known when the announcement was promised.
	id string
}

// notificationLevels in rising order; those below the configured one are not sent.
var notificationLevels = []string{"debug", "info", "warning", "error", "critical"}

func (t *task) notifyProvision(ctx context.Context, change provisionChange) {
	t.announceChange("NodeSetProvisionStatePayload", map[string]any{
		"event": change.event, "previous_provision_state": nullable(change.from.State),
		"previous_target_provision_state": nullable(change.from.Target),
	}, announcement{eventType: change.eventType(), id: change.id})
	// gofail: var eventNotified struct{}
}

func (p provisionChange) eventType() string { return "baremetal.node.provision_set." + p.status }

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
// confirm, again after a restart if need be.
func (t *task) notify(_ context.Context, eventType, class string, extra map[string]any) {
	t.announceChange(class, extra, announcement{eventType: eventType})
}

// announceChange completes an announcement and posts it. One that can't be written is no reason to stop the work.
func (t *task) announceChange(class string, extra map[string]any, a announcement) {
	a.node, a.level, a.request = t.Node.UUID, levelOf(a.eventType), t.request
	if !t.c.notifies(a.level) && !t.c.feed.followed() {
		return
	}
	var err error
	if a.payload, err = json.Marshal(nodePayload(class, t.c.cfg.Release, t.Node, extra)); err == nil {
		err = t.c.post(a)
	}
	if err != nil {
		t.Log.Error().Err(err).Str("event_type", a.eventType).Msg("A notification could not be written")
	}
}

func levelOf(eventType string) string {
	if statusOf(eventType) == "error" {
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

// announcement is one event on its way to the outbox.
type announcement struct {
	node, eventType, level string
	// id is that of the message when it was promised in the journal; the promise is kept by this announcement.
	id      string
	payload json.RawMessage
	request oslo.Context
}

// post tells followers of one event, and writes it to the outbox for each configured topic where it is wanted.
func (c *Conductor) post(a announcement) error {
	n := oslo.Notification{
		MessageID: cmp.Or(a.id, uuid.NewString()), PublisherID: "ironic-conductor." + c.cfg.PublisherHost, EventType: a.eventType,
		Priority: priorityText(a.level), Payload: a.payload, Timestamp: c.now(), Context: a.request,
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
	if !c.notifies(a.level) {
		return nil
	}
	var events []local.Event
	for _, topic := range c.cfg.NotificationTopics {
		events = append(events, local.Event{ID: n.MessageID, Node: a.node, Topic: topic + "." + routingLevel(a.level),
			Body: body})
	}
	// gofail: var outboxBeforeAppend struct{}
	if a.id != "" {
		return c.local.Settle(a.node, journalOwed, events...)
	}
	return c.local.Append(events...)
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
