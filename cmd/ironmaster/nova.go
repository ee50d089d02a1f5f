package main

import (
	"fmt"

	"github.com/ironmaster/ironmaster/conductor"
	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/drivers/nova"
)

// openCompute is the way to Nova; nil where power states are not to be told, or [nova] does not say how it is reached, as
// where there is no Nova.
func openCompute(n config.Nova) (conductor.Compute, error) {
	cfg := serviceConfig("nova", n.Auth, n.ServiceType)
	if !n.SendPowerNotifications || !nova.Configured(cfg) {
		return nil, nil
	}
	client, err := nova.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("[nova]: %w", err)
	}
	return client, nil
}
