package dhcp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/extradhcpopts"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/keystone"
)

// NeutronConfig is the part of [neutron] that DHCP needs.
type NeutronConfig struct {
	keystone.ServiceConfig
	// RequestTimeout bounds one request ([neutron]request_timeout), Retries is how often a failed connection is tried again.
	RequestTimeout time.Duration
	Retries        int
	// SetupDelay is waited after a change ([neutron]port_setup_delay): Neutron's agents need a while to hear of it.
	SetupDelay time.Duration
}

// Neutron gives DHCP options to the Neutron ports that a node is connected by.
type Neutron struct {
	cfg     NeutronConfig
	http    *http.Client
	service *keystone.Service
}

// NewNeutron returns the provider. It asks nobody yet.
func NewNeutron(cfg NeutronConfig) (*Neutron, error) {
	transport, err := keystone.NewTransport(cfg.Timeout, cfg.TLS)
	if err != nil {
		return nil, fmt.Errorf("setting up TLS for Neutron: %w", err)
	}
	client := &http.Client{Transport: transport}
	return &Neutron{cfg: cfg, http: client, service: keystone.NewService(cfg.ServiceConfig, client)}, nil
}

// Close drops idle connections.
func (n *Neutron) Close() { n.http.CloseIdleConnections() }

// Update gives the options to each of the node's Neutron ports. It fails when none of them takes them.
func (n *Neutron) Update(ctx context.Context, t *drivers.Task, options []Option) error {
	vifs, err := currentVIFs(ctx, t)
	if err != nil {
		return err
	}
	if len(vifs) == 0 {
		return store.Errorf(store.FailedToUpdateDHCPOptOnPort,
			"No VIFs found for node %s when attempting to update DHCP BOOT options.", t.Node.UUID)
	}
	var failed []string
	for _, v := range vifs {
		if err := n.updatePort(ctx, t, v.vif, options); err != nil {
			t.Log.Error().Err(err).Str("vif", v.vif).Msg("A Neutron port did not take its DHCP options")
			failed = append(failed, v.vif)
		}
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if len(failed) == len(vifs) {
		return store.Errorf(store.FailedToUpdateDHCPOptOnPort, "Failed to set DHCP BOOT options for any port on node %s.",
			t.Node.UUID)
	}
	if len(failed) > 0 {
		t.Log.Warn().Strs("vifs", failed).Msg("Some Neutron ports did not take their DHCP options")
	}
	return drivers.Pause(ctx, n.cfg.SetupDelay)
}

// updatePort sends those options that fit the versions of the port's addresses.
func (n *Neutron) updatePort(ctx context.Context, t *drivers.Task, vif string, options []Option) error {
	client, err := n.client(ctx, t)
	if err != nil {
		return err
	}
	port, err := n.port(ctx, client, vif)
	if err != nil {
		return err
	}
	versions := map[int]bool{}
	for _, ip := range port.FixedIPs {
		if version := ipVersion(ip.IPAddress); version != 0 {
			versions[version] = true
		}
	}
	if len(versions) == 0 {
		t.Log.Error().Str("vif", vif).Msg("A Neutron port has no IP address, so it gets no DHCP options")
	}
	update := extradhcpopts.UpdateOptsExt{UpdateOptsBuilder: ports.UpdateOpts{}, ExtraDHCPOpts: []extradhcpopts.UpdateExtraDHCPOpt{}}
	for _, o := range options {
		if versions[o.IPVersion] {
			update.ExtraDHCPOpts = append(update.ExtraDHCPOpts, extradhcpopts.UpdateExtraDHCPOpt{OptName: o.Name,
				OptValue: &o.Value, IPVersion: gophercloud.IPVersion(o.IPVersion)})
		}
	}
	return n.try(ctx, func(ctx context.Context) error {
		_, err := ports.Update(ctx, client, vif, update).Extract()
		return err
	})
}

// Clean does nothing: options go with the Neutron port.
func (n *Neutron) Clean(context.Context, *drivers.Task) error { return nil }

// Addresses returns the first address of each Neutron port that the node is connected by. Ports that tell none are left out.
func (n *Neutron) Addresses(ctx context.Context, t *drivers.Task) ([]string, error) {
	vifs, err := currentVIFs(ctx, t)
	if err != nil || len(vifs) == 0 {
		return nil, err
	}
	client, err := n.client(ctx, t)
	if err != nil {
		return nil, err
	}
	var addresses []string
	for _, v := range vifs {
		port, err := n.port(ctx, client, v.vif)
		if err == nil && (len(port.FixedIPs) == 0 || ipVersion(port.FixedIPs[0].IPAddress) == 0) {
			err = errors.New("the port has no IP address")
		}
		if err != nil {
			t.Log.Warn().Err(err).Str("vif", v.vif).Str("port", v.port).Msg("The IP address of a port is not known")
			continue
		}
		addresses = append(addresses, port.FixedIPs[0].IPAddress)
	}
	return addresses, context.Cause(ctx)
}

// TagsIPXE is true: Neutron's DHCP agent runs a dnsmasq that tags iPXE.
func (*Neutron) TagsIPXE() bool { return true }

var networkVersion = regexp.MustCompile(`/v2\.0/*$`)

func (n *Neutron) client(ctx context.Context, t *drivers.Task) (*gophercloud.ServiceClient, error) {
	client, endpoint, err := n.service.Client(ctx)
	if err != nil {
		return nil, err
	}
	client.Endpoint = strings.TrimRight(networkVersion.ReplaceAllString(endpoint, ""), "/") + "/"
	client.ResourceBase = client.Endpoint + "v2.0/"
	if t.GlobalRequestID != "" {
		if client.MoreHeaders == nil {
			client.MoreHeaders = map[string]string{}
		}
		client.MoreHeaders["X-OpenStack-Request-ID"] = t.GlobalRequestID
	}
	return client, nil
}

func (n *Neutron) port(ctx context.Context, client *gophercloud.ServiceClient, vif string) (port *ports.Port, err error) {
	err = n.try(ctx, func(ctx context.Context) error {
		port, err = ports.Get(ctx, client, vif).Extract()
		return err
	})
	return port, err
}

// retryPause is what keystoneauth waits at first before it tries a connection again.
const retryPause = 500 * time.Millisecond

// try bounds a request, and makes it again while Neutron cannot be reached.
func (n *Neutron) try(ctx context.Context, request func(context.Context) error) error {
	for left, pause := n.cfg.Retries, retryPause; ; left, pause = left-1, 2*pause {
		err := n.once(ctx, request)
		if err == nil || left <= 0 || ctx.Err() != nil || !store.Unreachable(err) {
			return err
		}
		if err := drivers.Pause(ctx, pause); err != nil {
			return err
		}
	}
}

func (n *Neutron) once(ctx context.Context, request func(context.Context) error) error {
	if n.cfg.RequestTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, n.cfg.RequestTimeout)
		defer cancel()
	}
	return request(ctx)
}

// ipVersion is 4 or 6, and 0 for what is no address.
func ipVersion(text string) int {
	address, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		return 0
	case address.Is4():
		return 4
	}
	return 6
}

// connection is one of the node's ports and the Neutron port that it is connected by.
type connection struct{ port, vif string }

func currentVIFs(ctx context.Context, t *drivers.Task) ([]connection, error) {
	all, err := t.Worker.Ports(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("reading the node's ports: %w", err)
	}
	var connected []connection
	for _, p := range all {
		if vif := t.Hardware.Network.CurrentVIF(p.InternalInfo); vif != "" {
			connected = append(connected, connection{p.UUID, vif})
		}
	}
	return connected, nil
}
