// Package inspector speaks with ironic-inspector, the service that inspects machines on behalf of ironic up to 32.0: its API v1
// (https://docs.openstack.org/ironic-inspector/latest/user/http-api.html).
package inspector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/keystone"
)

// patience bounds one request, login included.
const patience = time.Minute

// Config is [inspector] as far as it names the service.
type Config struct {
	keystone.ServiceConfig
	// Callback is where ramdisks reach the service, where that is not where this conductor does; mdns has them look for it.
	Callback string
	// NotFound is what OpenStack's SDK calls a refusal with code 404 in the release of ironic.
	NotFound string
}

// Client is the way to ironic-inspector.
type Client struct {
	cfg     Config
	http    *http.Client
	service *keystone.Service
}

// New makes a client. It asks nobody yet.
func New(cfg Config) (*Client, error) {
	transport, err := keystone.NewTransport(cfg.Timeout, cfg.TLS)
	if err != nil {
		return nil, fmt.Errorf("setting up TLS for ironic-inspector: %w", err)
	}
	client := keystone.NewClient(transport, nil)
	return &Client{cfg: cfg, http: client, service: keystone.NewService(cfg.ServiceConfig, client)}, nil
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// State is where an inspection is.
type State string

// The states in which the service waits for the ramdisk, or is about to.
const (
	Starting State = "starting"
	Waiting  State = "waiting"
)

// Status is how an inspection stands.
type Status struct {
	Finished bool   `json:"finished"`
	State    State  `json:"state"`
	Error    string `json:"error"`
}

// Start begins a node's inspection. managed tells that somebody else boots the ramdisk.
func (c *Client) Start(ctx context.Context, node string, managed bool) error {
	query := ""
	if managed {
		query = "?manage_boot=False"
	}
	return c.ask(ctx, http.MethodPost, introspection(node)+query, map[string]string{"uuid": node}, nil)
}

// Abort ends a node's inspection. None to end is no error.
func (c *Client) Abort(ctx context.Context, node string) error {
	err := c.ask(ctx, http.MethodPost, introspection(node)+"/abort", nil, nil)
	if notFound(err) {
		return nil
	}
	return keystone.RefusalOf(err, "Failed to abort introspection for node "+node)
}

// Status is how a node's newest inspection stands, nil when there was none.
func (c *Client) Status(ctx context.Context, node string) (*Status, error) {
	var status Status
	err := c.ask(ctx, http.MethodGet, introspection(node), nil, &status)
	if notFound(err) {
		return nil, nil
	}
	return &status, err
}

// Data is what a node's inspection found out, as the service's own hooks and rules left it.
func (c *Client) Data(ctx context.Context, node string) (store.Dict, error) {
	var text json.RawMessage
	if err := c.ask(ctx, http.MethodGet, introspection(node)+"/data", nil, &text); err != nil {
		return nil, err
	}
	// Numbers stay what they are.
	data, err := store.ParseDict(text)
	if err != nil {
		return nil, fmt.Errorf("reading what ironic-inspector found: %w", err)
	}
	return data, nil
}

// Continue tells the service what a ramdisk found.
func (c *Client) Continue(ctx context.Context, data store.Dict) error {
	return c.ask(ctx, http.MethodPost, "continue", data, nil)
}

// Callback is the URL at which ramdisks tell the service what they find. One that means each machine itself is refused.
func (c *Client) Callback(ctx context.Context) (string, error) {
	root := c.cfg.Callback
	if root == "mdns" {
		return root, nil
	}
	if root == "" {
		var err error
		if _, root, err = c.service.Client(ctx); err != nil {
			return "", err
		}
	}
	u, err := url.Parse(root)
	if err != nil {
		return "", store.Errorf(store.InvalidParameterValue, "[inspector]callback_endpoint_override is malformed")
	}
	host := u.Hostname()
	if ip, err := netip.ParseAddr(host); host == "localhost" || err == nil && ip.IsLoopback() {
		return "", store.Errorf(store.InvalidParameterValue, "Loopback address %s cannot be used as an introspection callback URL", host)
	}
	u.Path = versioned(u.Path) + "/continue"
	return u.String(), nil
}

// versioned is an endpoint's path with the API's version, once.
func versioned(path string) string {
	return strings.TrimSuffix(strings.TrimRight(path, "/"), "/v1") + "/v1"
}

func introspection(node string) string { return "introspection/" + url.PathEscape(node) }

// ask makes a request. A refusal has the text of OpenStack's SDK.
func (c *Client) ask(ctx context.Context, method, path string, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client, endpoint, err := c.service.Client(ctx)
	if err != nil {
		return err
	}
	opts := &gophercloud.RequestOpts{JSONBody: body, JSONResponse: into, OkCodes: []int{http.StatusOK, http.StatusAccepted}}
	if into == nil {
		opts.KeepResponseBody = true
	}
	response, err := client.Request(ctx, method, versioned(endpoint)+"/"+path, opts)
	if err != nil {
		return keystone.Refusal(err, c.cfg.NotFound)
	}
	if into == nil {
		return response.Body.Close()
	}
	return nil
}

func notFound(err error) bool {
	var answer gophercloud.ErrUnexpectedResponseCode
	return errors.As(err, &answer) && answer.Actual == http.StatusNotFound
}
