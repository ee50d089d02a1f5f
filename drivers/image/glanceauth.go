package image

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"

	"github.com/ironmaster/ironmaster/store"
)

// renewBefore is how long before its end the service's own token is replaced.
const renewBefore = 2 * time.Minute

// glanceSession holds the service's login to Keystone and builds the clients that speak to Glance. It logs in at the
// first use, not at start: Keystone may be down then.
type glanceSession struct {
	cfg  GlanceConfig
	http *http.Client

	mu      sync.Mutex
	service *gophercloud.ServiceClient
}

func newGlanceSession(cfg GlanceConfig) (*glanceSession, error) {
	transport, err := newTransport(cfg.Timeout, tlsOptions{
		CAFile: cfg.CAFile, CertFile: cfg.CertFile, KeyFile: cfg.KeyFile, Insecure: cfg.Insecure})
	if err != nil {
		return nil, fmt.Errorf("setting up TLS for Glance: %w", err)
	}
	return &glanceSession{cfg: cfg, http: &http.Client{Transport: transport}}, nil
}

// keystone reports whether the service itself logs in to Keystone.
func (s *glanceSession) keystone() bool {
	return s.cfg.AuthType != AuthNone && s.cfg.AuthType != AuthHTTPBasic
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
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.service != nil && s.keystone() && expiresSoon(s.service.ProviderClient) {
		if err := s.service.Reauthenticate(ctx, s.service.Token()); err != nil {
			s.service = nil
		}
	}
	if s.service == nil {
		service, err := s.login(ctx)
		if err != nil {
			return nil, err
		}
		s.service = service
	}
	return s.service, nil
}

func (s *glanceSession) login(ctx context.Context) (*gophercloud.ServiceClient, error) {
	if !s.keystone() {
		return s.standalone()
	}
	if s.cfg.AuthURL == "" {
		return nil, store.Errorf(kindKeystoneFailure, "Glance cannot be asked: [glance]auth_url is not set.")
	}
	provider, err := openstack.NewClient(s.cfg.AuthURL)
	if err != nil {
		return nil, store.Errorf(kindKeystoneFailure, "[glance]auth_url is malformed: %w", peerError(err))
	}
	provider.HTTPClient = *s.http
	provider.UseTokenLock()
	if err := openstack.Authenticate(ctx, provider, s.authOptions()); err != nil {
		return nil, keystoneError(s.cfg.AuthURL, err)
	}
	endpoint := s.cfg.EndpointOverride
	if endpoint == "" {
		if endpoint, err = s.endpoint(provider); err != nil {
			return nil, err
		}
	}
	return imageClient(provider, endpoint), nil
}

// standalone builds a client for a Glance without Keystone.
func (s *glanceSession) standalone() (*gophercloud.ServiceClient, error) {
	if s.cfg.EndpointOverride == "" {
		return nil, store.Errorf(kindCatalogNotFound,
			"Without Keystone, [glance]endpoint_override must name the image service (auth_type is %s).", s.cfg.AuthType)
	}
	client := imageClient(&gophercloud.ProviderClient{HTTPClient: *s.http}, s.cfg.EndpointOverride)
	if s.cfg.AuthType == AuthHTTPBasic {
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
	return "", store.Errorf(kindCatalogNotFound, "Service type %s with endpoint type %s not found in keystone service catalog.",
		s.cfg.ServiceType, strings.Join(s.cfg.ValidInterfaces, ", "))
}

func availability(name string) gophercloud.Availability {
	return gophercloud.Availability(strings.TrimSuffix(strings.TrimSpace(name), "URL"))
}

func (s *glanceSession) authOptions() gophercloud.AuthOptions {
	c := s.cfg
	opts := gophercloud.AuthOptions{IdentityEndpoint: c.AuthURL, AllowReauth: true}
	switch c.AuthType {
	case AuthApplicationCredential:
		opts.ApplicationCredentialID = c.ApplicationCredentialID
		opts.ApplicationCredentialName = c.ApplicationCredentialName
		opts.ApplicationCredentialSecret = c.ApplicationCredentialSecret
		if c.ApplicationCredentialID == "" {
			opts.Username, opts.UserID = c.Username, c.UserID
			opts.DomainName, opts.DomainID = c.UserDomainName, c.UserDomainID
		}
		return opts
	case AuthToken, AuthV3Token:
		opts.TokenID = c.Token
		opts.AllowReauth = false
	default:
		opts.Username, opts.UserID, opts.Password = c.Username, c.UserID, c.Password
		if c.UserID == "" {
			opts.DomainName = first(c.UserDomainName, c.DefaultDomainName)
			opts.DomainID = first(c.UserDomainID, c.DefaultDomainID)
			if opts.DomainID != "" {
				opts.DomainName = ""
			}
		}
	}
	opts.Scope = c.scope()
	return opts
}

// scope follows keystoneauth: a trust, the system, a project, or a domain.
func (c GlanceConfig) scope() *gophercloud.AuthScope {
	switch {
	case c.TrustID != "":
		return &gophercloud.AuthScope{TrustID: c.TrustID}
	case c.SystemScope:
		return &gophercloud.AuthScope{System: true}
	case c.ProjectID != "":
		return &gophercloud.AuthScope{ProjectID: c.ProjectID}
	case c.ProjectName != "":
		scope := &gophercloud.AuthScope{ProjectName: c.ProjectName, DomainID: first(c.ProjectDomainID, c.DefaultDomainID)}
		if scope.DomainID == "" {
			scope.DomainName = first(c.ProjectDomainName, c.DefaultDomainName)
		}
		return scope
	case c.DomainID != "":
		return &gophercloud.AuthScope{DomainID: c.DomainID}
	case c.DomainName != "":
		return &gophercloud.AuthScope{DomainName: c.DomainName}
	}
	return nil
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

var versionSuffix = regexp.MustCompile(`/v\d+(\.\d+)?/*$`)

// imageClient accepts endpoints with and without a version, as glanceclient does.
func imageClient(provider *gophercloud.ProviderClient, endpoint string) *gophercloud.ServiceClient {
	base := strings.TrimRight(versionSuffix.ReplaceAllString(endpoint, ""), "/") + "/"
	return &gophercloud.ServiceClient{ProviderClient: provider, Endpoint: base, ResourceBase: base + "v2/", Type: "image"}
}

func expiresSoon(provider *gophercloud.ProviderClient) bool {
	result, ok := provider.GetAuthResult().(tokens.CreateResult)
	if !ok {
		return false
	}
	token, err := result.ExtractToken()
	return err == nil && time.Until(token.ExpiresAt) < renewBefore
}

func keystoneError(url string, err error) error {
	var code gophercloud.ErrUnexpectedResponseCode
	if !errors.As(err, &code) {
		return store.Errorf(kindKeystoneFailure, "Keystone at %s cannot be used: %w", Redact(url), peerError(err))
	}
	if code.Actual == http.StatusUnauthorized {
		return store.Errorf(kindKeystoneUnauthorized, "Not authorized in Keystone.")
	}
	return store.Errorf(kindKeystoneFailure, "Keystone at %s answered with HTTP code %d", Redact(url), code.Actual)
}
