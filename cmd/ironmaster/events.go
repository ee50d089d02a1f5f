package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/ironmaster/ironmaster/conductor"
	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/messaging/rabbit"
)

func newEventsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Follow what happens to nodes, with progress bars",
		Long: `Follow what happens to nodes, as the conductors publish it on RabbitMQ (docs/events.md): the progress of deployments and
cleanings, and ironic's notifications where [DEFAULT]notification_level switches them on. With rpc_transport = json-rpc
there need not be a broker: the conductor of this machine is followed, at [ironmaster]admin_listen.

On a terminal each node under way has a line with its step, percent, rate and time left; elsewhere each event is a line.
Only what happens while this runs is seen. It runs until Ctrl-C, and takes nothing away from other listeners.`,
		Example: `  ironmaster events --config-file /etc/ironic/ironic.conf
  ironmaster events --node machine-0001 --json | jq .payload.percent`,
		Args: cobra.NoArgs,
	}
	flags := addOsloFlags(cmd)
	nodes := cmd.Flags().StringArray("node", nil, "follow this node only, by `UUID or name`; may be given several times")
	asJSON := cmd.Flags().Bool("json", false, "print each event as a line of JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, _, err := flags.load(cmd.Context(), config.R2023_1)
		if err != nil {
			return err
		}
		source, err := eventSource(s)
		if err != nil {
			return err
		}
		out, problems := cmd.OutOrStdout(), cmd.ErrOrStderr()
		return followEvents(cmd.Context(), source, *nodes, newEventSink(out, problems, *asJSON))
	}
	return cmd
}

// source is who tells of events.
type source struct {
	subscription
	// name is what a person calls it.
	name string
}

// eventSource is the broker, or without requests over RabbitMQ the conductor on this machine.
func eventSource(s *config.Settings) (source, error) {
	if s.Default.RPCTransport != "oslo" {
		return source{&conductorFeed{address: dialAddress(s.Ironmaster.AdminListen)}, "conductor"}, nil
	}
	sub, err := rabbit.NewSubscriber(brokerConfig(s, "ironmaster events", zerolog.Nop()), eventKeys(s.Default))
	if err != nil {
		return source{}, fmt.Errorf("[DEFAULT]transport_url: %w", err)
	}
	return source{sub, "broker"}, nil
}

// eventKeys are the routing keys that nodes are told about under.
func eventKeys(d config.Default) []string {
	keys := []string{conductor.ProgressTopic + ".*"}
	for _, topic := range d.VersionedNotificationsTopics {
		keys = append(keys, topic+".*")
	}
	return keys
}

// eventSink shows events.
type eventSink interface {
	// show fails only when nobody can see the output any more.
	show(nodeEvent) error
	// notice tells about the following itself: the source is away, an event cannot be read.
	notice(text string)
	close() error
}

func newEventSink(out, problems io.Writer, asJSON bool) eventSink {
	file, ok := out.(*os.File)
	switch {
	case asJSON:
		return &jsonSink{out: json.NewEncoder(out), problems: problems}
	case ok && isatty.IsTerminal(file.Fd()) && os.Getenv("TERM") != "dumb":
		return newBarSink(file)
	}
	return &lineSink{out: out, problems: problems}
}

// subscription is the part of rabbit.Subscriber that is used here.
type subscription interface {
	Run(ctx context.Context, handle func(routingKey string, body []byte))
	Status() rabbit.Status
}

// followEvents shows the events of the nodes, of all when none is named, until ctx ends or the sink fails.
func followEvents(ctx context.Context, from source, nodes []string, sink eventSink) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var watching sync.WaitGroup
	watching.Go(func() { watchSource(ctx, from, nodes, sink.notice) })
	var failed error
	from.Run(ctx, func(_ string, body []byte) {
		event, err := decodeEvent(body)
		switch {
		case err != nil:
			sink.notice("Skipping an event that cannot be read: " + oneLine(err.Error()))
		case event.concerns(nodes):
			if failed = sink.show(event); failed != nil {
				cancel(failed)
			}
		}
	})
	watching.Wait()
	if err := sink.close(); err != nil && failed == nil {
		failed = err
	}
	return failed
}

const sourceWatchInterval = 200 * time.Millisecond

// watchSource tells when the following begins, and when the source goes and comes back.
func watchSource(ctx context.Context, from source, nodes []string, notice func(string)) {
	ticker := time.NewTicker(sourceWatchInterval)
	defer ticker.Stop()
	up, away := false, false
	for {
		switch status := from.Status(); {
		case status.Connected && !up:
			whose := "all nodes"
			if len(nodes) > 0 {
				whose = strings.Join(nodes, ", ")
			}
			notice(fmt.Sprintf("Following the events of %s at %s.", whose, status.Host))
			up, away = true, false
		case !status.Connected && status.Err != nil && !away:
			notice(fmt.Sprintf("The %s %s is away: %s. Trying again; what happens until then is not seen here.", from.name,
				status.Host, oneLine(status.Err.Error())))
			up, away = false, true
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// progressPrefix begins the types of progress events.
const progressPrefix = "baremetal.node.deploy_progress."

// nodeEvent is a notification about a node.
type nodeEvent struct {
	id, eventType, priority string
	at                      time.Time
	data                    json.RawMessage
	uuid, name              string
	// progress is set for progress events.
	progress *conductor.ProgressPayload
}

// decodeEvent reads a notification.
func decodeEvent(body []byte) (nodeEvent, error) {
	n, err := oslo.DecodeNotification(body)
	if err != nil {
		return nodeEvent{}, err
	}
	e := nodeEvent{id: n.MessageID, eventType: n.EventType, priority: n.Priority, at: n.Timestamp, data: n.Payload}
	var object struct {
		Data json.RawMessage `json:"ironic_object.data"`
	}
	if err := json.Unmarshal(n.Payload, &object); err != nil {
		return nodeEvent{}, fmt.Errorf("decoding the payload of %s: %w", n.EventType, err)
	}
	if object.Data != nil {
		e.data = object.Data
	}
	if strings.HasPrefix(e.eventType, progressPrefix) {
		e.progress = &conductor.ProgressPayload{}
		if err := json.Unmarshal(e.data, e.progress); err != nil {
			return nodeEvent{}, fmt.Errorf("decoding the payload of %s: %w", n.EventType, err)
		}
		e.uuid, e.name = e.progress.NodeUUID, value(e.progress.NodeName)
		return e, nil
	}
	var node struct {
		UUID string `json:"uuid"`
		Name string `json:"name"`
	}
	if err := json.Unmarshal(e.data, &node); err != nil {
		return nodeEvent{}, fmt.Errorf("decoding the payload of %s: %w", n.EventType, err)
	}
	e.uuid, e.name = node.UUID, node.Name
	return e, nil
}

// value is what a pointer points to, zero for nil.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func (e nodeEvent) concerns(nodes []string) bool {
	return len(nodes) == 0 || slices.ContainsFunc(nodes, func(wanted string) bool {
		return strings.EqualFold(wanted, e.uuid) || wanted == e.name && e.name != ""
	})
}

// status is the last part of the event type: start, end and so on.
func (e nodeEvent) status() string { return e.eventType[strings.LastIndexByte(e.eventType, '.')+1:] }

// title is what a person calls the node.
func (e nodeEvent) title() string { return oneLine(firstOf(e.name, e.uuid, "(no node)")) }

// jsonSink writes one object a line.
type jsonSink struct {
	out      *json.Encoder
	problems io.Writer
}

func (s *jsonSink) show(e nodeEvent) error {
	return s.out.Encode(struct {
		EventType string          `json:"event_type"`
		Timestamp time.Time       `json:"timestamp"`
		Priority  string          `json:"priority"`
		MessageID string          `json:"message_id"`
		Payload   json.RawMessage `json:"payload"`
	}{e.eventType, e.at.UTC(), e.priority, e.id, e.data})
}

func (s *jsonSink) notice(text string) { fmt.Fprintln(s.problems, text) }
func (s *jsonSink) close() error       { return nil }

// lineSink writes one line an event, for people and for files.
type lineSink struct {
	out, problems io.Writer
}

func (s *lineSink) show(e nodeEvent) error {
	_, err := fmt.Fprintln(s.out, eventLine(e))
	return err
}

func (s *lineSink) notice(text string) { fmt.Fprintln(s.problems, text) }
func (s *lineSink) close() error       { return nil }
