package main

import (
	"fmt"

	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/drivers/storage"
	"github.com/ironmaster/ironmaster/messaging"
)

func newCinder(c config.Cinder, release messaging.Release) (*storage.Cinder, error) {
	cinder, err := storage.NewCinder(storage.CinderConfig{ServiceConfig: serviceConfig("cinder", c.Auth, c.ServiceType), Retries: c.Retries,
		ActionRetries: c.ActionRetries, ActionRetryInterval: c.ActionRetryInterval, SDKTexts: release >= messaging.V25_0})
	if err != nil {
		return nil, fmt.Errorf("[cinder]: %w", err)
	}
	return cinder, nil
}
