package keystone

import (
	"context"
	"encoding/base64"
	"maps"
	"net/http"
	"strings"
	"sync"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/ironmaster/ironmaster/store"
)

// ServiceConfig is what a group of ironic.conf has that names another OpenStack service: how to log in, and keystoneauth's
// adapter options.
type ServiceConfig struct {
	Config
	EndpointOverride, RegionName string
	ServiceType                  string
	// ValidInterfaces are tried in order: internal, public, admin.
	ValidInterfaces []string
}

// Service is the way to one OpenStack service, in Keystone's catalogue or without Keystone at all.
type Service struct {
	cfg   ServiceConfig
	http  *http.Client
	login *Session

	mu       sync.Mutex
	endpoint string // as the catalogue of provider has it
	provider *gophercloud.ProviderClient
}

// NewService makes the way to a service, spoken to through client. It asks nobody yet.
func NewService(cfg ServiceConfig, client *http.Client) *Service {
	return &Service{cfg: cfg, http: client, login: NewSession(cfg.Config, client)}
}

// LogsIn reports whether the service is used with Keystone.
func (s *Service) LogsIn() bool { return s.cfg.AuthType != AuthNone && s.cfg.AuthType != AuthHTTPBasic }

// Client returns a client of the service and its endpoint, as the catalogue or the configuration has it. The client is the
// caller's to add headers to.
func (s *Service) Client(ctx context.Context) (*gophercloud.ServiceClient, string, error) {
	if !s.LogsIn() {
		return s.standalone()
	}
	provider, err := s.login.Provider(ctx)
	if err != nil {
		return nil, "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.provider != provider {
		endpoint := s.cfg.EndpointOverride
		if endpoint == "" {
			if endpoint, err = s.find(provider); err != nil {
				return nil, "", err
			}
		}
		s.provider, s.endpoint = provider, endpoint
	}
	return &gophercloud.ServiceClient{ProviderClient: provider, Type: s.cfg.ServiceType}, s.endpoint, nil
}

// OnBehalf has a client of Client act with the rights of the user whose token it is. The service's own token goes beside, so that a
// user's that has run out meanwhile is still honoured.
func (s *Service) OnBehalf(api *gophercloud.ServiceClient, token string) {
	headers := map[string]string{"X-Service-Token": api.Token()}
	maps.Copy(headers, api.MoreHeaders)
	api.MoreHeaders = headers
	api.ProviderClient = &gophercloud.ProviderClient{HTTPClient: *s.http}
	api.SetToken(token)
}

// standalone builds a client for a service without Keystone.
func (s *Service) standalone() (*gophercloud.ServiceClient, string, error) {
	if s.cfg.EndpointOverride == "" {
		return nil, "", store.Errorf(KindCatalogNotFound,
			"Without Keystone, [%s]endpoint_override must name the %s service (auth_type is %s).", s.cfg.Group, s.cfg.ServiceType,
			s.cfg.AuthType)
	}
	client := &gophercloud.ServiceClient{ProviderClient: &gophercloud.ProviderClient{HTTPClient: *s.http},
		Type: s.cfg.ServiceType}
	if s.cfg.AuthType == AuthHTTPBasic {
		pair := base64.StdEncoding.EncodeToString([]byte(s.cfg.Username + ":" + s.cfg.Password))
		client.MoreHeaders = map[string]string{"Authorization": "Basic " + pair}
	}
	return client, s.cfg.EndpointOverride, nil
}

func (s *Service) find(provider *gophercloud.ProviderClient) (string, error) {
	for _, name := range s.cfg.ValidInterfaces {
		url, err := provider.EndpointLocator(gophercloud.EndpointOpts{
			Type: s.cfg.ServiceType, Region: s.cfg.RegionName, Availability: availability(name)})
		if err == nil {
			return url, nil
		}
	}
	return "", store.Errorf(KindCatalogNotFound, "Service type %s with endpoint type %s not found in keystone service catalog.",
		s.cfg.ServiceType, strings.Join(s.cfg.ValidInterfaces, ", "))
}

func availability(name string) gophercloud.Availability {
	return gophercloud.Availability(strings.TrimSuffix(strings.TrimSpace(name), "URL"))
}
