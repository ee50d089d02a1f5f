package neutron

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/keystone"
)

// ClientConfig is how Neutron is reached: the part of [neutron] that is not about networks.
type ClientConfig struct {
	keystone.ServiceConfig
	// RequestTimeout bounds one request ([neutron]request_timeout), Retries is how often a failed connection is tried again.
	RequestTimeout time.Duration
	Retries        int
}

// Client speaks to Neutron.
type Client struct {
	cfg     ClientConfig
	http    *http.Client
	service *keystone.Service
}

// NewClient returns a client. It asks nobody yet.
func NewClient(cfg ClientConfig) (*Client, error) {
	transport, err := keystone.NewTransport(cfg.Timeout, cfg.TLS)
	if err != nil {
		return nil, fmt.Errorf("setting up TLS for Neutron: %w", err)
	}
	client := keystone.NewClient(transport, nil)
	return &Client{cfg: cfg, http: client, service: keystone.NewService(cfg.ServiceConfig, client)}, nil
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Session is a client that acts for somebody: for the user of a request, or for this service.
type Session struct {
	client *Client
	api    *gophercloud.ServiceClient
}

var apiVersion = regexp.MustCompile(`/v2\.0/*$`)

// AsService acts with the rights of [neutron].
func (c *Client) AsService(ctx context.Context, t *drivers.Task) (*Session, error) {
	api, endpoint, err := c.service.Client(ctx)
	if err != nil {
		return nil, err
	}
	api.Endpoint = strings.TrimRight(apiVersion.ReplaceAllString(endpoint, ""), "/") + "/"
	api.ResourceBase = api.Endpoint + "v2.0/"
	if t.GlobalRequestID != "" {
		headers := map[string]string{"X-OpenStack-Request-ID": t.GlobalRequestID}
		maps.Copy(headers, api.MoreHeaders)
		api.MoreHeaders = headers
	}
	return &Session{c, api}, nil
}

// AsRequester acts with the rights of the user who asked for the task: it sees what that user may see. Without a token, and with
// one that is for no project, it acts as the service. The service's token goes beside, so that a user's that has run out
// meanwhile is still honoured.
func (c *Client) AsRequester(ctx context.Context, t *drivers.Task) (*Session, error) {
	s, err := c.AsService(ctx, t)
	if err != nil || t.AuthToken == "" || t.SystemScope || !c.service.LogsIn() {
		return s, err
	}
	c.service.OnBehalf(s.api, t.AuthToken)
	return s, nil
}

// retryPause is what keystoneauth waits at first before it tries a connection again.
const retryPause = 500 * time.Millisecond

// try bounds a request, and makes it again while Neutron cannot be reached.
func (s *Session) try(ctx context.Context, request func(context.Context) error) error {
	for left, pause := s.client.cfg.Retries, retryPause; ; left, pause = left-1, 2*pause {
		err := s.once(ctx, request)
		if err == nil || left <= 0 || ctx.Err() != nil || !store.Unreachable(err) {
			return asFailure(err)
		}
		if err := drivers.Pause(ctx, pause); err != nil {
			return err
		}
	}
}

func (s *Session) once(ctx context.Context, request func(context.Context) error) error {
	if limit := s.client.cfg.RequestTimeout; limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	return request(ctx)
}
