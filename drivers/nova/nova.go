// Package nova tells OpenStack's compute service what happens to the machines that its servers run on.
package nova

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/keystone"
)

const (
	// microversion is the first one whose external events know power-update.
	microversion = "2.76"
	// patience bounds one event, login included: a node is locked meanwhile, and Nova looks at power states by itself, too.
	patience = 10 * time.Second
)

// Client sends external events to Nova (compute API, os-server-external-events).
type Client struct {
	service *keystone.Service
}

// New makes a client. It asks nobody yet.
func New(cfg keystone.ServiceConfig) (*Client, error) {
	transport, err := keystone.NewTransport(cfg.Timeout, cfg.TLS)
	if err != nil {
		return nil, fmt.Errorf("setting up TLS for Nova: %w", err)
	}
	return &Client{service: keystone.NewService(cfg, keystone.NewClient(transport, nil))}, nil
}

// Configured tells whether a configuration says how Nova is reached.
func Configured(cfg keystone.ServiceConfig) bool { return cfg.AuthType != "" || cfg.AuthURL != "" }

type event struct {
	Name   string `json:"name"`
	Server string `json:"server_uuid"`
	Tag    string `json:"tag"`
}

// PowerUpdate tells Nova that the machine of a server was switched to store.PowerOn or store.PowerOff, for a request whose
// global id may be "". The error says what Nova made of it; it is no failure of the power action.
func (c *Client) PowerUpdate(ctx context.Context, server, power, globalRequestID string) error {
	tag := map[string]string{store.PowerOn: "POWER_ON", store.PowerOff: "POWER_OFF"}[power]
	if tag == "" {
		return fmt.Errorf("a power state %q means nothing to Nova", power)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client, endpoint, err := c.service.Client(ctx)
	if err != nil {
		return fmt.Errorf("reaching Nova: %w", err)
	}
	client.Microversion = microversion
	if client.MoreHeaders == nil {
		client.MoreHeaders = map[string]string{}
	}
	client.MoreHeaders["OpenStack-API-Version"] = "compute " + microversion
	if globalRequestID != "" {
		client.MoreHeaders["X-OpenStack-Request-ID"] = globalRequestID
	}
	var answer struct {
		Events []struct {
			Code   int    `json:"code"`
			Status string `json:"status"`
		} `json:"events"`
	}
	// 207 is Nova's answer when it could not take every event.
	_, err = client.Post(ctx, strings.TrimRight(endpoint, "/")+"/os-server-external-events",
		map[string]any{"events": []event{{Name: "power-update", Server: server, Tag: tag}}}, &answer,
		&gophercloud.RequestOpts{OkCodes: []int{http.StatusOK, http.StatusMultiStatus}})
	if err != nil {
		return fmt.Errorf("sending Nova a power-update of server %s: %w", server, err)
	}
	if len(answer.Events) != 1 {
		return fmt.Errorf("nova answered one power-update of server %s with %d events", server, len(answer.Events))
	}
	if taken := answer.Events[0]; taken.Code >= http.StatusBadRequest {
		return fmt.Errorf("nova did not take the power-update of server %s: code %d, status %q", server, taken.Code, taken.Status)
	}
	return nil
}
