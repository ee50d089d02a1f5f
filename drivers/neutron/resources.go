package neutron

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/mtu"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/portsbinding"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/provider"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/groups"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/segments"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/subnets"
)

// Port is a port with its binding.
type Port struct {
	ports.Port
	portsbinding.PortsBindingExt
}

// Network is a network with what administrators see of it.
type Network struct {
	networks.Network
	provider.NetworkProviderExt
	mtu.NetworkMTUExt
}

// Attributes is the body of a request about a port by the API's names. gophercloud's own types cannot say that a MAC address or a
// profile is to be cleared.
type Attributes map[string]any

type portBody struct{ attributes Attributes }

func (b portBody) body() (map[string]any, error) {
	return map[string]any{"port": map[string]any(b.attributes)}, nil
}

// ToPortCreateMap is gophercloud's ports.CreateOptsBuilder.
func (b portBody) ToPortCreateMap() (map[string]any, error) { return b.body() }

// ToPortUpdateMap is gophercloud's ports.UpdateOptsBuilder.
func (b portBody) ToPortUpdateMap() (map[string]any, error) { return b.body() }

// Port reads a port.
func (s *Session) Port(ctx context.Context, id string) (*Port, error) {
	p := new(Port)
	return p, s.try(ctx, func(ctx context.Context) error { return ports.Get(ctx, s.api, url.PathEscape(id)).ExtractInto(p) })
}

// CreatePort makes a port. One whose answer was lost is not made again: who asks next finds it.
func (s *Session) CreatePort(ctx context.Context, a Attributes) (*Port, error) {
	p := new(Port)
	return p, asFailure(s.once(ctx, func(ctx context.Context) error { return ports.Create(ctx, s.api, portBody{a}).ExtractInto(p) }))
}

// UpdatePort changes a port.
func (s *Session) UpdatePort(ctx context.Context, id string, a Attributes) error {
	return s.try(ctx, func(ctx context.Context) error { return ports.Update(ctx, s.api, url.PathEscape(id), portBody{a}).Err })
}

// DeletePort deletes a port; one that is gone is deleted.
func (s *Session) DeletePort(ctx context.Context, id string) error {
	err := s.try(ctx, func(ctx context.Context) error { return ports.Delete(ctx, s.api, id).ExtractErr() })
	if missing(err) {
		return nil
	}
	return err
}

type query url.Values

func (q query) encode() string { return "?" + url.Values(q).Encode() }

// ToPortListQuery is gophercloud's ports.ListOptsBuilder.
func (q query) ToPortListQuery() (string, error) { return q.encode(), nil }

// Ports lists the ports that have one of the values of each attribute.
func (s *Session) Ports(ctx context.Context, filter map[string][]string) ([]Port, error) {
	var found []Port
	return found, s.try(ctx, func(ctx context.Context) error {
		pages, err := ports.List(s.api, query(filter)).AllPages(ctx)
		if err != nil {
			return err
		}
		found = nil
		return ports.ExtractPortsInto(pages, &found)
	})
}

// NetworksNamed lists the networks of a name.
func (s *Session) NetworksNamed(ctx context.Context, name string) ([]Network, error) {
	var found []Network
	err := s.try(ctx, func(ctx context.Context) error {
		pages, err := networks.List(s.api, networks.ListOpts{Name: name}).AllPages(ctx)
		if err != nil {
			return err
		}
		found = nil
		return networks.ExtractNetworksInto(pages, &found)
	})
	return found, err
}

// Network reads a network.
func (s *Session) Network(ctx context.Context, id string) (*Network, error) {
	n := new(Network)
	return n, s.try(ctx, func(ctx context.Context) error { return networks.Get(ctx, s.api, url.PathEscape(id)).ExtractInto(n) })
}

// NetworkLike finds a network by UUID, else by name. All that have the name are returned.
func (s *Session) NetworkLike(ctx context.Context, idOrName string) ([]Network, error) {
	n, err := s.Network(ctx, idOrName)
	var f *Failure
	switch {
	case err == nil:
		return []Network{*n}, nil
	case errors.As(err, &f) && (f.Code == http.StatusNotFound || f.Code == http.StatusBadRequest):
		return s.NetworksNamed(ctx, idOrName)
	}
	return nil, err
}

// Subnet reads a subnet.
func (s *Session) Subnet(ctx context.Context, id string) (sub *subnets.Subnet, err error) {
	err = s.try(ctx, func(ctx context.Context) error {
		sub, err = subnets.Get(ctx, s.api, id).Extract()
		return err
	})
	return sub, err
}

// Segment reads a segment of a network.
func (s *Session) Segment(ctx context.Context, id string) (seg *segments.Segment, err error) {
	err = s.try(ctx, func(ctx context.Context) error {
		seg, err = segments.Get(ctx, s.api, id).Extract()
		return err
	})
	return seg, err
}

// SecurityGroups lists those of the security groups that there are.
func (s *Session) SecurityGroups(ctx context.Context, ids []string) ([]string, error) {
	var found []string
	err := s.try(ctx, func(ctx context.Context) error {
		found = nil
		for _, id := range ids {
			pages, err := groups.List(s.api, groups.ListOpts{ID: id}).AllPages(ctx)
			if err != nil {
				return err
			}
			all, err := groups.ExtractGroups(pages)
			if err != nil {
				return err
			}
			for _, g := range all {
				found = append(found, g.ID)
			}
		}
		return nil
	})
	return found, err
}
