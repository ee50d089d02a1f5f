package conductor

import (
	"sync"
	"time"
)

// Meter takes what ironic measures about its conductors, under ironic's names ([metrics]). Nobody waits for it.
type Meter interface {
	// Time reports how long something took.
	Time(name string, took time.Duration)
	// Gauge reports what something is at.
	Gauge(name string, value int)
}

// meterPrefix begins the names of ironic's conductor: its Python module, and the class.
const meterPrefix = "ironic.conductor.manager.ConductorManager."

// unmetered are the methods that ironic does not time; misnamed is timed under a name of its own.
var (
	unmetered = map[string]bool{"get_runbook": true, "detach_virtual_media": true}
	misnamed  = map[string]string{"get_indicator_state": "get_indicator_states"}
)

// meterRequest reports how long a method took. Like ironic, only of requests that were not refused.
func (c *Conductor) meterRequest(method string, took time.Duration, err error) {
	if err != nil || unmetered[method] {
		return
	}
	if name, ok := misnamed[method]; ok {
		method = name
	}
	c.meterTime(method, took)
}

// meterTime reports how long something took that ironic has a name for; "" is for what it has none for.
func (c *Conductor) meterTime(name string, took time.Duration) {
	if c.meter != nil && name != "" {
		c.meter.Time(c.cfg.MetricsPrefix+meterPrefix+name, took)
	}
}

// meterGauge reports a number that ironic has a name for.
func (c *Conductor) meterGauge(name string, value int) {
	if c.meter != nil {
		c.meter.Gauge(c.cfg.MetricsPrefix+meterPrefix+name, value)
	}
}

// Collector is a meter that keeps what it is told until it goes out with the sensor data ([metrics]backend = collector).
type Collector struct {
	mu       sync.Mutex
	measured map[string]measure
}

// measure is one entry of what is sent, in ironic's form.
type measure struct {
	Count int      `json:"count,omitempty"`
	Sum   *float64 `json:"sum,omitempty"` // of all times, in ms
	Value *int     `json:"value,omitempty"`
	Type  string   `json:"type"`
}

// Time implements Meter.
func (m *Collector) Time(name string, took time.Duration) {
	m.change(name, func(was measure) measure {
		sum := float64(took) / float64(time.Millisecond)
		if was.Sum != nil {
			sum += *was.Sum
		}
		return measure{Count: was.Count + 1, Sum: &sum, Type: "timer"}
	})
}

// Gauge implements Meter.
func (m *Collector) Gauge(name string, value int) {
	m.change(name, func(measure) measure { return measure{Value: &value, Type: "gauge"} })
}

func (m *Collector) change(name string, to func(measure) measure) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.measured == nil {
		m.measured = map[string]measure{}
	}
	m.measured[name] = to(m.measured[name])
}

// collected is a copy of what was measured since the start.
func (m *Collector) collected() map[string]any {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[string]any{}
	for name, one := range m.measured {
		all[name] = one
	}
	return all
}
