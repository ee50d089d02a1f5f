package conductor

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/local"
	"github.com/ironmaster/ironmaster/store/sql"
)

// SensorConfig says which sensors are read, how often, and where the data goes ([sensor_data]).
type SensorConfig struct {
	// Interval is the pause between two rounds; 0 switches them off.
	Interval time.Duration
	// Workers read at once; a round ends after Limit.
	Workers int
	Limit   time.Duration
	// Types are the types of sensors that are sent, in any case; "all" is all of them.
	Types []string
	// Undeployed nodes are read too, not active ones alone.
	Undeployed bool
	// Topics are those of unversioned notifications ([oslo_messaging_notifications]topics).
	Topics []string
}

// sendSensorData reads the sensors of this worker's nodes and announces them, as consumers of ceilometer's messages know it
// (reference/notifications.md §6).
func (c *Conductor) sendSensorData(ctx context.Context) error {
	filter := sql.Filter{Maintenance: pointer(false)}
	if !c.cfg.Sensors.Undeployed {
		filter.ProvisionStates = []string{store.Active}
	}
	nodes, err := c.owned(ctx, filter)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Sensors.Limit)
	defer cancel()
	var readers errgroup.Group
	readers.SetLimit(max(c.cfg.Sensors.Workers, 1))
	for _, n := range nodes {
		readers.Go(func() error {
			err := c.readNode(ctx, oslo.AdminContext(), n.UUID, "getting sensors data", func(ctx context.Context, t *task) error {
				t.Routine = true
				return t.sendSensorData(ctx)
			})
			if err != nil && store.KindOf(err) != store.NodeNotFound {
				c.log.Warn().Err(err).Str("node", n.UUID).Msg("The sensors of a node could not be read")
			}
			return nil
		})
	}
	return readers.Wait()
}

func (t *task) sendSensorData(ctx context.Context) error {
	sensing, ok := t.Hardware.Management.(drivers.Sensing)
	if t.Node.Maintenance || !ok {
		return nil
	}
	if err := t.Hardware.Management.Validate(ctx, t.Task); err != nil {
		return err
	}
	data, err := sensing.Sensors(ctx, t.Task)
	if err != nil {
		return err
	}
	if data = wantedSensors(data, t.c.cfg.Sensors.Types); len(data) == 0 {
		return nil
	}
	return t.postSensorData(data)
}

// wantedSensors keeps the types that are to be sent.
func wantedSensors(data drivers.SensorData, types []string) drivers.SensorData {
	wanted := drivers.SensorData{}
	for typ, sensors := range data {
		if slices.ContainsFunc(types, func(w string) bool { return strings.EqualFold(w, "all") || strings.EqualFold(w, typ) }) {
			wanted[typ] = sensors
		}
	}
	return wanted
}

// postSensorData puts the message into the outbox. It is sent whatever notification_level says, under the name that ironic's
// notifier has for want of a service.
func (t *task) postSensorData(data drivers.SensorData) error {
	c, now := t.c, t.c.now()
	event := "hardware." + t.Node.Driver + ".metrics"
	payload, err := json.Marshal(map[string]any{"message_id": uuid.NewString(), "instance_uuid": nullable(t.Node.InstanceUUID),
		"node_uuid": t.Node.UUID, "timestamp": now.UTC().Format(isoMicro), "node_name": t.Node.Name,
		"event_type": event + ".update", "payload": data})
	if err != nil {
		return fmt.Errorf("encoding sensor data: %w", err)
	}
	n := oslo.Notification{MessageID: uuid.NewString(), PublisherID: "None." + c.cfg.PublisherHost, EventType: event,
		Priority: priorityText("info"), Payload: payload, Timestamp: now, Context: t.request}
	encode := n.EncodeBare
	if slices.Contains(c.cfg.NotificationDrivers, "messagingv2") {
		encode = n.Encode
	}
	body, err := encode()
	if err != nil {
		return fmt.Errorf("encoding sensor data: %w", err)
	}
	var events []local.Event
	for _, topic := range c.cfg.Sensors.Topics {
		events = append(events, local.Event{ID: n.MessageID, Node: t.Node.UUID, Topic: topic + ".info", Body: body})
	}
	return c.untilRoom(c.workCtx, "sensor data", func() error { return c.local.Append(events...) })
}

// sensorInterval is how often sensors are read; never when nobody is to hear of them.
func (c *Conductor) sensorInterval(*Live) time.Duration {
	if c.notifier == nil || !slices.ContainsFunc(c.cfg.NotificationDrivers, SendsToBroker) {
		return 0
	}
	return c.cfg.Sensors.Interval
}
