package oslo

import "testing"

// Every recorded notification is understood and encodes to the same message.
func TestNotificationsRoundTrip(t *testing.T) {
	for _, rec := range readLines[recordedEvent](t, "../testdata/notifications-21.4.jsonl") {
		t.Run(rec.Event, func(t *testing.T) {
			n, err := DecodeNotification(envelope(t, rec.Message))
			if err != nil {
				t.Fatal(err)
			}
			body, err := n.Encode()
			if err != nil {
				t.Fatal(err)
			}
			wantSame(t, tree(t, body), innerTree(t, rec.Message), "_unique_id")

			bare, err := n.EncodeBare()
			if err != nil {
				t.Fatal(err)
			}
			wantSame(t, innerTree(t, bare), innerTree(t, rec.Message), "_unique_id")
			again, err := DecodeNotification(bare)
			if err != nil || again.MessageID != n.MessageID || !again.Timestamp.Equal(n.Timestamp) {
				t.Errorf("without envelope: %v", err)
			}
		})
	}
}

func TestDecodeNotificationRefuses(t *testing.T) {
	for _, inner := range []string{`{}`, `{"event_type": 5}`, `{"event_type": "e", "timestamp": "yesterday"}`} {
		if _, err := DecodeNotification([]byte(inner)); err == nil {
			t.Errorf("%s was accepted", inner)
		}
	}
}
