package storage

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/keystone"
)

// CinderConfig is [cinder].
type CinderConfig struct {
	keystone.ServiceConfig
	// Retries is how often a failed connection is tried again, ActionRetries how often a failed detachment is, ActionRetryInterval
	// what lies between.
	Retries, ActionRetries int
	ActionRetryInterval    time.Duration
	// SDKTexts has failures tell of Cinder's refusals in the words of OpenStack's SDK, as ironic does since 25.0; before, they are
	// those of Cinder's own client.
	SDKTexts bool
}

// Cinder is the storage interface cinder: volumes of OpenStack's block storage are attached while an instance runs.
type Cinder struct {
	cfg     CinderConfig
	http    *http.Client
	service *keystone.Service
	now     func() time.Time
}

// NewCinder returns the storage interface cinder. It asks nobody yet.
func NewCinder(cfg CinderConfig) (*Cinder, error) {
	transport, err := keystone.NewTransport(cfg.Timeout, cfg.TLS)
	if err != nil {
		return nil, fmt.Errorf("setting up TLS for Cinder: %w", err)
	}
	client := keystone.NewClient(transport, nil)
	return &Cinder{cfg: cfg, http: client, service: keystone.NewService(cfg.ServiceConfig, client), now: time.Now}, nil
}

var _ drivers.Storage = (*Cinder)(nil)

// Close drops idle connections.
func (c *Cinder) Close() { c.http.CloseIdleConnections() }

// Properties are none.
func (*Cinder) Properties() map[string]string { return map[string]string{} }

// Steps offers none.
func (*Cinder) Steps(drivers.StepKind) []drivers.Step { return nil }

// ShouldWriteImage is false when the node has a boot volume and its instance names no image.
func (*Cinder) ShouldWriteImage(ctx context.Context, t *drivers.Task) (bool, error) {
	return writesImage(ctx, t)
}

// The types of connectors that reach volumes.
const (
	connectorIQN  = "iqn"
	connectorWWPN = "wwpn"
	connectorWWNN = "wwnn"
)

// connector is what Cinder is told of the way by which a node reaches its volumes.
type connector map[string]any

// ToVolumeTerminateConnectionMap is gophercloud's way to ask for a request's body.
func (c connector) ToVolumeTerminateConnectionMap() (map[string]any, error) {
	return map[string]any{"os-terminate_connection": map[string]any{"connector": c}}, nil
}

// connectorOf tells Cinder of a node's volume connectors: the first initiator and address, and all ports of its host bus adapters.
func connectorOf(ctx context.Context, t *drivers.Task) (connector, error) {
	all, err := t.Worker.VolumeConnectors(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("reading the node's volume connectors: %w", err)
	}
	c, usable := connector{}, false
	list := func(key, value string) {
		known, _ := c[key].([]string)
		c[key], usable = append(known, value), true
	}
	for _, one := range all {
		typ, value := text(one.Type), text(one.ConnectorID)
		switch {
		case typ == connectorIQN && c["initiator"] == nil:
			c["initiator"], usable = value, true
		case typ == "ip" && c["ip"] == nil:
			c["ip"] = value
		case typ == connectorWWPN:
			list("wwpns", value)
		case typ == connectorWWNN:
			list("wwnns", value)
		default:
			t.Log.Warn().Str("volume_connector", one.UUID).Str("type", typ).Msg("A volume connector is of a type that is not used")
		}
	}
	if !usable {
		return nil, store.Errorf(store.StorageError, "Insufficient or incompatible volume connection records for node %s. Valid connector "+
			"types: wwpn, wwnn, iqn", t.Node.UUID)
	}
	if len(all) > 1 {
		c["multipath"] = true
	}
	c["host"] = t.Node.UUID
	return c, nil
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
