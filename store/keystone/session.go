package keystone

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"

	"github.com/ironmaster/ironmaster/store"
)

// renewBefore is how long before its end the service's own token is replaced.
const renewBefore = 2 * time.Minute

// Session is a service's login. It logs in at the first use, not at start: Keystone may be down then.
type Session struct {
	cfg  Config
	http *http.Client

	// turn is held by whoever logs in or looks; it guards provider.
	turn     chan struct{}
	provider *gophercloud.ProviderClient
}

// NewSession makes a session that speaks through client.
func NewSession(cfg Config, client *http.Client) *Session {
	return &Session{cfg: cfg, http: client, turn: make(chan struct{}, 1)}
}

// Provider is logged in, with a token that lasts for a while. It is the same one until a login has to be made anew. Who waits
// for another's login to a slow Keystone gives up with ctx.
func (s *Session) Provider(ctx context.Context) (*gophercloud.ProviderClient, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if s.provider != nil && expiresSoon(s.provider) {
		if err := s.provider.Reauthenticate(ctx, s.provider.Token()); err != nil {
			s.provider = nil
		}
	}
	if s.provider == nil {
		provider, err := s.login(ctx)
		if err != nil {
			return nil, err
		}
		s.provider = provider
	}
	return s.provider, nil
}

func (s *Session) login(ctx context.Context) (*gophercloud.ProviderClient, error) {
	if s.cfg.AuthURL == "" {
		return nil, store.Errorf(KindFailure, "Keystone cannot be asked: [%s]auth_url is not set.", s.cfg.Group)
	}
	provider, err := openstack.NewClient(s.cfg.AuthURL)
	if err != nil {
		return nil, store.Errorf(KindFailure, "[%s]auth_url is malformed: %w", s.cfg.Group, withoutURL(err))
	}
	provider.HTTPClient = *s.http
	provider.UseTokenLock()
	if err := openstack.Authenticate(ctx, provider, s.cfg.authOptions()); err != nil {
		return nil, failure(s.cfg.AuthURL, err)
	}
	return provider, nil
}

func (c Config) authOptions() gophercloud.AuthOptions {
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
			opts.DomainName = cmp.Or(c.UserDomainName, c.DefaultDomainName)
			opts.DomainID = cmp.Or(c.UserDomainID, c.DefaultDomainID)
			if opts.DomainID != "" {
				opts.DomainName = ""
			}
		}
	}
	opts.Scope = c.scope()
	return opts
}

// scope follows keystoneauth: a trust, the system, a project, or a domain.
func (c Config) scope() *gophercloud.AuthScope {
	switch {
	case c.TrustID != "":
		return &gophercloud.AuthScope{TrustID: c.TrustID}
	case c.SystemScope:
		return &gophercloud.AuthScope{System: true}
	case c.ProjectID != "":
		return &gophercloud.AuthScope{ProjectID: c.ProjectID}
	case c.ProjectName != "":
		scope := &gophercloud.AuthScope{ProjectName: c.ProjectName, DomainID: cmp.Or(c.ProjectDomainID, c.DefaultDomainID)}
		if scope.DomainID == "" {
			scope.DomainName = cmp.Or(c.ProjectDomainName, c.DefaultDomainName)
		}
		return scope
	case c.DomainID != "":
		return &gophercloud.AuthScope{DomainID: c.DomainID}
	case c.DomainName != "":
		return &gophercloud.AuthScope{DomainName: c.DomainName}
	}
	return nil
}

func expiresSoon(provider *gophercloud.ProviderClient) bool {
	result, ok := provider.GetAuthResult().(tokens.CreateResult)
	if !ok {
		return false
	}
	token, err := result.ExtractToken()
	return err == nil && time.Until(token.ExpiresAt) < renewBefore
}

// failure gives what Keystone answered, or that it did not, ironic's kinds.
func failure(address string, err error) error {
	var code gophercloud.ErrUnexpectedResponseCode
	if !errors.As(err, &code) {
		failed := error(store.Errorf(KindFailure, "Keystone at %s cannot be used: %w", redacted(address), withoutURL(err)))
		if store.Unreachable(err) {
			failed = store.Away("keystone", failed)
		}
		return failed
	}
	if code.Actual == http.StatusUnauthorized {
		return store.Errorf(KindUnauthorized, "Not authorized in Keystone.")
	}
	err = store.Errorf(KindFailure, "Keystone at %s answered with HTTP code %d", redacted(address), code.Actual)
	if code.Actual >= http.StatusInternalServerError || code.Actual == http.StatusTooManyRequests {
		err = store.Away("keystone", err)
	}
	return err
}

// withoutURL drops the URL, with its secrets, that net/http puts into its errors.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// redacted is a URL without its user and query.
func redacted(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "(malformed URL)"
	}
	u.User, u.RawQuery = nil, ""
	return u.String()
}
