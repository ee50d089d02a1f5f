package main

import (
	"context"
	"net"
	"strconv"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/conductor"
	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/messaging/statsd"
)

// openMeter is where ironic's measurements go ([metrics]backend): nowhere when it is nil. run, which may be nil, is what sends them.
func openMeter(s *config.Settings, log zerolog.Logger) (meter conductor.Meter, run func(context.Context)) {
	switch s.Metrics.Backend {
	case "statsd":
		client := statsd.New(net.JoinHostPort(s.Statsd.Host, strconv.Itoa(s.Statsd.Port)), log)
		return client, client.Run
	case "collector":
		return &conductor.Collector{}, nil
	}
	return nil, nil
}

// metricsPrefix begins the names of all measurements.
func metricsPrefix(m config.Metrics) string {
	if m.GlobalPrefix == "" {
		return ""
	}
	return m.GlobalPrefix + "."
}
