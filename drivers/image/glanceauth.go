package image

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/keystone"
)

// glanceSession holds the service's login to Keystone and builds the clients that speak to Glance.
type glanceSession struct {
	cfg   GlanceConfig
	http  *http.Client
	login *keystone.Session

	mu      sync.Mutex
	service *gophercloud.ServiceClient
}

func newGlanceSession(cfg GlanceConfig) (*glanceSession, error) {
	transport, err := keystone.NewTransport(cfg.Timeout, cfg.TLS)
	if err != nil {
		return nil, fmt.Errorf("setting up TLS for Glance: %w", err)
	}
	client := &http.Client{Transport: transport}
	return &glanceSession{cfg: cfg, http: client, login: keystone.NewSession(cfg.Config, client)}, nil
}

// keystone reports whether the service itself logs in to Keystone.
func (s *glanceSession) keystone() bool {
	return s.cfg.AuthType != keystone.AuthNone && s.cfg.AuthType != keystone.AuthHTTPBasic
}

// client returns a client that acts for the requester: with the requester's token beside the service's, so that a
// request whose token has run out meanwhile is still honoured, or as the service when there is no token.
func (s *glanceSession) client(ctx context.Context, who Requester) (*gophercloud.ServiceClient, error) {
	service, err := s.serviceClient(ctx)
	if err != nil {
		return nil, err
	}
	client := *service
	client.MoreHeaders = maps.Clone(service.MoreHeaders)
	if client.MoreHeaders == nil {
		client.MoreHeaders = map[string]string{}
	}
	if who.RequestID != "" {
		client.MoreHeaders["X-OpenStack-Request-ID"] = who.RequestID
	}
	if who.Token != "" && s.keystone() {
		client.MoreHeaders["X-Service-Token"] = service.Token()
		client.ProviderClient = &gophercloud.ProviderClient{HTTPClient: *s.http}
		client.ProviderClient.SetToken(who.Token)
	}
	return &client, nil
}

func (s *glanceSession) serviceClient(ctx context.Context) (*gophercloud.ServiceClient, error) {
	if !s.keystone() {
		return s.standalone()
	}
	provider, err := s.login.Provider(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.service != nil && s.service.ProviderClient == provider {
		return s.service, nil
	}
	endpoint := s.cfg.EndpointOverride
	if endpoint == "" {
		if endpoint, err = s.endpoint(provider); err != nil {
			return nil, err
		}
	}
	s.service = imageClient(provider, endpoint)
	return s.service, nil
}

// standalone builds a client for a Glance without Keystone.
func (s *glanceSession) standalone() (*gophercloud.ServiceClient, error) {
	if s.cfg.EndpointOverride == "" {
		return nil, store.Errorf(keystone.KindCatalogNotFound,
			"Without Keystone, [glance]endpoint_override must name the image service (auth_type is %s).", s.cfg.AuthType)
	}
	client := imageClient(&gophercloud.ProviderClient{HTTPClient: *s.http}, s.cfg.EndpointOverride)
	if s.cfg.AuthType == keystone.AuthHTTPBasic {
		pair := base64.StdEncoding.EncodeToString([]byte(s.cfg.Username + ":" + s.cfg.Password))
		client.MoreHeaders = map[string]string{"Authorization": "Basic " + pair}
	}
	return client, nil
}

func (s *glanceSession) endpoint(provider *gophercloud.ProviderClient) (string, error) {
	for _, name := range s.cfg.ValidInterfaces {
		url, err := provider.EndpointLocator(gophercloud.EndpointOpts{
			Type: s.cfg.ServiceType, Region: s.cfg.RegionName, Availability: availability(name)})
		if err == nil {
			return url, nil
		}
	}
	return "", store.Errorf(keystone.KindCatalogNotFound, "Service type %s with endpoint type %s not found in keystone service catalog.",
		s.cfg.ServiceType, strings.Join(s.cfg.ValidInterfaces, ", "))
}

func availability(name string) gophercloud.Availability {
	return gophercloud.Availability(strings.TrimSuffix(strings.TrimSpace(name), "URL"))
}

var versionSuffix = regexp.MustCompile(`/v\d+(\.\d+)?/*$`)

// imageClient accepts endpoints with and without a version, as glanceclient does.
func imageClient(provider *gophercloud.ProviderClient, endpoint string) *gophercloud.ServiceClient {
	base := strings.TrimRight(versionSuffix.ReplaceAllString(endpoint, ""), "/") + "/"
	return &gophercloud.ServiceClient{ProviderClient: provider, Endpoint: base, ResourceBase: base + "v2/", Type: "image"}
}
