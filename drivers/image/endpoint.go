package image

import "context"

// FindEndpoint logs in to Keystone and returns the address that its catalogue has for cfg.ServiceType, without keeping the
// session. The bare metal API's own address, which ramdisks call back, is found this way.
func FindEndpoint(ctx context.Context, cfg GlanceConfig) (string, error) {
	session, err := newGlanceSession(cfg)
	if err != nil {
		return "", err
	}
	defer session.http.CloseIdleConnections()
	client, err := session.serviceClient(ctx)
	if err != nil {
		return "", err
	}
	return client.Endpoint, nil
}
