package wholeworker

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/messaging/rabbit"
)

// sensorFeed is the nodes' sensors as they were announced, by node.
type sensorFeed struct {
	mu   sync.Mutex
	data map[string]map[string]map[string]map[string]any
}

// followSensors collects the announcements until the test ends.
func followSensors(t *testing.T, transportURL string) *sensorFeed {
	t.Helper()
	subscriber, err := rabbit.NewSubscriber(rabbit.Config{URL: transportURL, Options: rabbit.DefaultOptions(),
		Exchange: "ironic", Name: "sensors test", Log: zerolog.Nop()}, []string{"notifications.info"})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	f := &sensorFeed{data: map[string]map[string]map[string]map[string]any{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		subscriber.Run(ctx, func(_ string, body []byte) { f.add(body) })
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return f
}

func (f *sensorFeed) add(body []byte) {
	n, err := oslo.DecodeNotification(body)
	if err != nil || n.EventType != "hardware.ipmi.metrics" {
		return
	}
	var sent struct {
		Node    string                               `json:"node_uuid"`
		Payload map[string]map[string]map[string]any `json:"payload"`
	}
	if json.Unmarshal(n.Payload, &sent) != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.data[sent.Node] = sent.Payload
}

// sensed waits until the machine's temperature was announced.
func (n *ipmiNode) sensed(t *testing.T, f *sensorFeed) {
	n.manage(t)
	eventually(t, "the sensors are announced", func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if got := f.data[n.uuid]["Temperature"]["CPU Temp (0x0)"]["Sensor Reading"]; got != "42 (+/- 0) degrees C" {
			return fmt.Errorf("the temperature is %v, all is %v", got, f.data[n.uuid])
		}
		return nil
	})
}
