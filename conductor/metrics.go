package conductor

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ironmaster/ironmaster/store"
)

// metrics is what the worker counts about itself.
type metrics struct {
	rpcs  *prometheus.HistogramVec
	flows *prometheus.CounterVec
	// resumes counts flows that were cut short and went on.
	resumes *prometheus.CounterVec
}

// newMetrics registers the worker's metrics. Gauges are read when somebody asks.
func newMetrics(c *Conductor, reg prometheus.Registerer) metrics {
	m := metrics{
		rpcs: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ironmaster_rpc_duration_seconds", Help: "Time from taking a request to its reply, by method and result.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}, []string{"method", "result"}),
		flows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ironmaster_flows_total", Help: "Flows (deploy, clean) by how they began and ended.",
		}, []string{"flow", "status"}),
	}
	m.resumes = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ironmaster_resumes_total",
		Help: "Flows that went on after they were cut short: this worker's own, or taken over from one that is gone."},
		[]string{"kind"})
	reg.MustRegister(m.rpcs, m.flows, m.resumes,
		gauge("ironmaster_workers_busy", "Background workers at work.", func() float64 { return float64(c.pool.Busy()) }),
		gauge("ironmaster_workers_limit", "Background workers at most.", func() float64 { return float64(c.live().WorkersPoolSize) }),
		gauge("ironmaster_locks_held", "Nodes locked by this worker.", func() float64 { return float64(len(c.heldNodes())) }),
		gauge("ironmaster_controllers_asked", "BMCs that periodic work has asked and not heard yet.",
			func() float64 { return float64(c.controllers.asked()) }),
		gauge("ironmaster_outbox_events", "Events that wait for the broker.", func() float64 {
			s := c.local.Outbox()
			return float64(s.Durable + s.Volatile)
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "ironmaster_outbox_dropped_total", Help: "Events given up because the outbox was full.",
		}, func() float64 { return float64(c.local.Outbox().Dropped) }),
		gauge("ironmaster_registration_age_seconds", "Time since the row in conductors was renewed.",
			func() float64 { return c.lease.age(c.uptime()).Seconds() }),
	)
	return m
}

// heldNodes are the nodes that this worker changes; readers hinder nobody.
func (c *Conductor) heldNodes() map[string]bool {
	held := map[string]bool{}
	for _, l := range c.local.Locks() {
		if !l.Shared {
			held[l.Node] = true
		}
	}
	return held
}

func gauge(name, help string, read func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read)
}

// observeRPC counts one request. The result is "ok", the failure's kind or "error".
func (m metrics) observeRPC(method string, began, ended time.Time, err error) {
	result := "ok"
	if err != nil {
		if result = string(store.KindOf(err)); result == "" {
			result = "error"
		}
	}
	m.rpcs.WithLabelValues(method, result).Observe(ended.Sub(began).Seconds())
}
