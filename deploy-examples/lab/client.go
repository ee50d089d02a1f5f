package lab

import (
	"fmt"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/baremetal/noauth"
)

// apiVersion is the newest of ironic 21.4.
const apiVersion = "1.81"

// BareMetalClient speaks to the ironic-api at url as a user does.
func BareMetalClient(url string) (*gophercloud.ServiceClient, error) {
	client, err := noauth.NewBareMetalNoAuth(noauth.EndpointOpts{IronicEndpoint: url + "/v1"})
	if err != nil {
		return nil, fmt.Errorf("making a client of ironic: %w", err)
	}
	client.Microversion = apiVersion
	return client, nil
}
