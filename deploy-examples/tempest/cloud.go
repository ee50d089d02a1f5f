package main

import (
	"context"
	"fmt"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/baremetal/v1/drivers"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/endpoints"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/services"
	"github.com/gophercloud/gophercloud/v2/pagination"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

// region is where Keystone's own endpoints are.
const region = "lab"

// cloud is Keystone and ironic as the user admin sees them.
type cloud struct{ identity, ironic *gophercloud.ServiceClient }

func logIn(ctx context.Context, l *lab.Lab) (*cloud, error) {
	provider, err := openstack.AuthenticatedClient(ctx, gophercloud.AuthOptions{
		IdentityEndpoint: l.KeystoneURL + "/v3", Username: "admin", Password: lab.KeystonePassword,
		DomainID: "default", TenantName: "admin", AllowReauth: true,
	})
	if err != nil {
		return nil, fmt.Errorf("logging in to Keystone: %w", err)
	}
	identity, err := openstack.NewIdentityV3(provider, gophercloud.EndpointOpts{Region: region})
	if err != nil {
		return nil, fmt.Errorf("finding Keystone in its own catalogue: %w", err)
	}
	// Not by the catalogue, which ironic is not in yet.
	ironic := &gophercloud.ServiceClient{ProviderClient: provider, Endpoint: l.IronicURL + "/v1/", Type: "baremetal"}
	return &cloud{identity: identity, ironic: ironic}, nil
}

// announce puts a service into the catalogue.
func (c *cloud) announce(ctx context.Context, kind, url string) error {
	service, err := services.Create(ctx, c.identity, services.CreateOpts{Type: kind}).Extract()
	if err == nil {
		_, err = endpoints.Create(ctx, c.identity, endpoints.CreateOpts{
			Availability: gophercloud.AvailabilityPublic, Name: kind, Region: region, ServiceID: service.ID, URL: url,
		}).Extract()
	}
	if err != nil {
		return fmt.Errorf("putting %s into the catalogue: %w", kind, err)
	}
	return nil
}

// serves fails until ironic-api counts the conductor among the live ones.
func (c *cloud) serves(ctx context.Context) error {
	alive := false
	err := drivers.ListDrivers(c.ironic, nil).EachPage(ctx, func(_ context.Context, page pagination.Page) (bool, error) {
		all, err := drivers.ExtractDrivers(page)
		for _, driver := range all {
			for _, name := range driver.Hosts {
				alive = alive || name == host
			}
		}
		return true, err
	})
	if err != nil {
		return fmt.Errorf("asking ironic for its drivers: %w", err)
	}
	if !alive {
		return fmt.Errorf("%s is not registered yet", host)
	}
	return nil
}
