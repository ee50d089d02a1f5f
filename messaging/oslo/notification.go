package oslo

import (
	"encoding/json"
	"time"
)

// timestampLayout is Python's str() of a naive UTC datetime.
const timestampLayout = "2006-01-02 15:04:05.000000"

// Notification is one event for whoever listens.
type Notification struct {
	// MessageID is a UUID that stays the same when the event is sent again.
	MessageID   string
	PublisherID string
	EventType   string
	// Priority is INFO, ERROR and so on, in upper case.
	Priority  string
	Payload   json.RawMessage
	Timestamp time.Time
	// Context is sent redacted.
	Context Context
}

// Encode returns the message body of the driver "messagingv2": the notification in an envelope.
func (n *Notification) Encode() ([]byte, error) { return seal(n.inner()) }

// EncodeBare returns the message body of the driver "messaging": the notification without envelope.
func (n *Notification) EncodeBare() ([]byte, error) { return encodeJSON(n.inner()) }

func (n *Notification) inner() map[string]any {
	inner := map[string]any{
		"message_id": n.MessageID, "publisher_id": n.PublisherID, "event_type": n.EventType, "priority": n.Priority,
		"payload": n.Payload, "timestamp": n.Timestamp.UTC().Format(timestampLayout), "_unique_id": newID(),
	}
	redacted := n.Context.Redacted()
	redacted.flatten(inner)
	return inner
}

// DecodeNotification reads a notification with or without envelope.
func DecodeNotification(body []byte) (*Notification, error) {
	f, err := unseal(body)
	if err != nil {
		return nil, err
	}
	n := &Notification{Payload: f["payload"], Context: f.context()}
	var timestamp string
	for _, field := range []struct {
		key  string
		into *string
	}{
		{"message_id", &n.MessageID}, {"publisher_id", &n.PublisherID}, {"event_type", &n.EventType},
		{"priority", &n.Priority}, {"timestamp", &timestamp},
	} {
		if *field.into, err = f.text(field.key); err != nil {
			return nil, err
		}
	}
	if n.EventType == "" {
		return nil, malformed("event_type", "is missing")
	}
	// Python leaves out the fraction when it is zero; Go's parser takes both.
	if n.Timestamp, err = time.Parse("2006-01-02 15:04:05", timestamp); err != nil {
		return nil, malformed("timestamp", "is not a date and time")
	}
	return n, nil
}
