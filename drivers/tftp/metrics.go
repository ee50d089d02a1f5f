package tftp

import "github.com/prometheus/client_golang/prometheus"

// How a request can end.
const (
	ended     = "complete"
	broken    = "broken"  // the peer fell silent, ended it, or took too long
	refused   = "refused" // no such file, a path that leads out, a write
	busy      = "busy"    // too many at once
	malformed = "malformed"
)

type metrics struct {
	requests *prometheus.CounterVec
	bytes    prometheus.Counter
	resent   prometheus.Counter
	active   prometheus.Gauge
}

func newMetrics() metrics {
	return metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ironmaster_tftp_requests_total",
			Help: "Requests of TFTP by result: complete, broken, refused, busy, malformed."}, []string{"result"}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{Name: "ironmaster_tftp_bytes_total",
			Help: "Bytes of files sent by TFTP."}),
		resent: prometheus.NewCounter(prometheus.CounterOpts{Name: "ironmaster_tftp_resent_total",
			Help: "Packets of TFTP that were sent again because no acknowledgement came."}),
		active: prometheus.NewGauge(prometheus.GaugeOpts{Name: "ironmaster_tftp_transfers",
			Help: "Transfers of TFTP under way."}),
	}
}

// Collectors are the server's metrics.
func (s *Server) Collectors() []prometheus.Collector {
	return []prometheus.Collector{s.metrics.requests, s.metrics.bytes, s.metrics.resent, s.metrics.active}
}
