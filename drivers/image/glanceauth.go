package image

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/ironmaster/ironmaster/store/keystone"
)

// glanceSession builds the clients that speak to Glance.
type glanceSession struct {
	http    *http.Client
	service *keystone.Service
}

func newGlanceSession(cfg GlanceConfig) (*glanceSession, error) {
	transport, err := keystone.NewTransport(cfg.Timeout, cfg.TLS)
	if err != nil {
		return nil, fmt.Errorf("setting up TLS for Glance: %w", err)
	}
	client := keystone.NewClient(transport, isImageFile)
	return &glanceSession{http: client, service: keystone.NewService(cfg.ServiceConfig, client)}, nil
}

// isImageFile tells the bytes of an image, whose number its reader knows, from other answers.
func isImageFile(r *http.Response) bool {
	return r.StatusCode < 300 && strings.HasSuffix(r.Request.URL.Path, "/file")
}

// keystone reports whether the service itself logs in to Keystone.
func (s *glanceSession) keystone() bool { return s.service.LogsIn() }

// client returns a client that acts for the requester: with the requester's token beside the service's, so that a
// request whose token has run out meanwhile is still honoured, or as the service when there is no token.
func (s *glanceSession) client(ctx context.Context, who Requester) (*gophercloud.ServiceClient, error) {
	client, endpoint, err := s.service.Client(ctx)
	if err != nil {
		return nil, err
	}
	client.Endpoint = withoutVersion(endpoint)
	client.ResourceBase = client.Endpoint + "v2/"
	if client.MoreHeaders == nil {
		client.MoreHeaders = map[string]string{}
	}
	if who.RequestID != "" {
		client.MoreHeaders["X-OpenStack-Request-ID"] = who.RequestID
	}
	if who.Token != "" && s.keystone() {
		client.MoreHeaders["X-Service-Token"] = client.Token()
		client.ProviderClient = &gophercloud.ProviderClient{HTTPClient: *s.http}
		client.ProviderClient.SetToken(who.Token)
	}
	return client, nil
}

var versionSuffix = regexp.MustCompile(`/v\d+(\.\d+)?/*$`)

// withoutVersion accepts endpoints with and without a version, as glanceclient does.
func withoutVersion(endpoint string) string {
	return strings.TrimRight(versionSuffix.ReplaceAllString(endpoint, ""), "/") + "/"
}
