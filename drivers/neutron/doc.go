// Package neutron connects bare metal to Neutron's networks: the network interfaces flat and neutron, over a client of the
// Networking API v2.0 that drivers/dhcp speaks through as well.
package neutron
