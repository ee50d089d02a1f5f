package image

import (
	"context"

	"github.com/ironmaster/ironmaster/store/keystone"
)

// FindEndpoint logs in to Keystone and returns the address that its catalogue has for cfg.ServiceType, without keeping the
// session. The bare metal API's own address, which ramdisks call back, is found this way.
func FindEndpoint(ctx context.Context, cfg keystone.ServiceConfig) (string, error) {
	session, err := newGlanceSession(GlanceConfig{ServiceConfig: cfg})
	if err != nil {
		return "", err
	}
	defer session.http.CloseIdleConnections()
	client, err := session.client(ctx, Requester{})
	if err != nil {
		return "", err
	}
	return client.Endpoint, nil
}
