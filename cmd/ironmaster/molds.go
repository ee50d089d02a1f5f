package main

import (
	"fmt"
	"time"

	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/drivers/idrac"
	"github.com/ironmaster/ironmaster/drivers/mold"
	"github.com/ironmaster/ironmaster/messaging"
)

// moldTimeout bounds one request for a configuration mold. Ironic has no bound.
const moldTimeout = time.Minute

// openMolds is where configuration molds are kept; nil on releases that have none, as since 37.0.
func openMolds(s *config.Settings, release messaging.Release) (idrac.Molds, error) {
	if release > messaging.V36_0 {
		return nil, nil
	}
	m := s.Molds
	cfg := mold.Config{User: m.User, Password: m.Password, Attempts: m.RetryAttempts, Interval: m.RetryInterval, Timeout: moldTimeout}
	if m.Storage == "swift" {
		swift := serviceConfig("swift", s.Swift.Auth, s.Swift.ServiceType)
		cfg.Swift = &swift
	}
	molds, err := mold.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("[molds]: %w", err)
	}
	return molds, nil
}
