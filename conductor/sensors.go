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
	// Nodes are read; of those that are not active only if Undeployed is set.
	Nodes, Undeployed bool
	// Worker sends what was measured about the worker itself, when that is kept for it (Collector).
	Worker bool
	// Topics are those of unversioned notifications ([oslo_messaging_notifications]topics).
	Topics []string
}

// sendSensorData announces what was measured about this worker, reads the sensors of its nodes and announces them, as consumers
// of ceilometer's messages know it (reference/notifications.md §6).
func (c *Conductor) sendSensorData(ctx context.Context) error {
	if own, kept := c.meter.(*Collector); kept && c.cfg.Sensors.Worker {
		if err := c.postMeasures(own.collected()); err != nil {
			return err
		}
	}
	if !c.cfg.Sensors.Nodes {
		return nil
	}
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
	n := t.Node
	return t.c.postSensors(n.UUID, t.request, "hardware."+n.Driver+".metrics", map[string]any{
		"instance_uuid": nullable(n.InstanceUUID), "node_uuid": n.UUID, "node_name": n.Name, "payload": data})
}

// postMeasures announces what was measured about this worker.
func (c *Conductor) postMeasures(measured map[string]any) error {
	if measured = wantedSensors(measured, c.cfg.Sensors.Types); len(measured) == 0 {
		return nil
	}
	return c.postSensors("", oslo.AdminContext(), "ironic.metrics", map[string]any{"hostname": c.cfg.Host, "payload": measured})
}

// wantedSensors keeps the types that are to be sent.
func wantedSensors[M ~map[string]V, V any](data M, types []string) M {
	wanted := M{}
	for typ, sensors := range data {
		if slices.ContainsFunc(types, func(w string) bool { return strings.EqualFold(w, "all") || strings.EqualFold(w, typ) }) {
			wanted[typ] = sensors
		}
	}
	return wanted
}

// postSensors puts a message of a node, or of the worker itself, into the outbox, with what all of them have. It is sent whatever
// notification_level says, under the name that ironic's notifier has for want of a service.
func (c *Conductor) postSensors(node string, request oslo.Context, event string, message map[string]any) error {
	now := c.now()
	message["message_id"], message["timestamp"] = uuid.NewString(), now.UTC().Format(isoMicro)
	message["event_type"] = event + ".update"
	payload, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("encoding sensor data: %w", err)
	}
	n := oslo.Notification{MessageID: uuid.NewString(), PublisherID: "None." + c.cfg.PublisherHost, EventType: event,
		Priority: priorityText("info"), Payload: payload, Timestamp: now, Context: request}
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
		events = append(events, local.Event{ID: n.MessageID, Node: node, Topic: topic + ".info", Body: body})
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
