package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/neutron"
)

// checkNetworks looks for Neutron and the networks that its network interfaces need.
func (c *checker) checkNetworks(ctx context.Context) []finding {
	s := c.first
	enabled := slices.DeleteFunc(slices.Clone(s.Default.EnabledNetwork), func(name string) bool {
		return name != "flat" && name != "neutron"
	})
	if len(enabled) == 0 {
		return nil
	}
	if s.Neutron.URL == "" && s.Neutron.EndpointOverride == "" {
		return []finding{{levelWarn, fmt.Sprintf("not configured, and the network interface %s is enabled: nodes that have it cannot "+
			"be cleaned or deployed", enabled[0]), "set auth_type and what belongs to it in [neutron], or " +
			"[DEFAULT]enabled_network_interfaces = noop"}}
	}
	client, err := newNeutronClient(s)
	if err != nil {
		return []finding{{levelFail, err.Error(), "correct the certificates in [neutron]"}}
	}
	defer client.Close()
	session, err := client.AsService(ctx, &drivers.Task{})
	if err != nil {
		return []finding{{levelFail, err.Error(), "start Keystone, or correct [neutron]"}}
	}
	var found []finding
	for _, n := range wantedNetworks(s, slices.Contains(enabled, "neutron")) {
		found = append(found, checkNetwork(ctx, session, n[0], n[1]))
	}
	return found
}

// wantedNetworks are the options that name networks, with their values: those that are set or cannot be left out.
func wantedNetworks(s *config.Settings, separate bool) [][2]string {
	n := s.Neutron
	wanted := [][2]string{{"cleaning_network", n.CleaningNetwork}}
	if separate {
		wanted = append(wanted, [2]string{"provisioning_network", n.ProvisioningNetwork})
	}
	for _, o := range [][2]string{{"rescuing_network", n.RescuingNetwork}, {"inspection_network", n.InspectionNetwork},
		{"servicing_network", n.ServicingNetwork}} {
		if o[1] != "" {
			wanted = append(wanted, o)
		}
	}
	return wanted
}

func checkNetwork(ctx context.Context, s *neutron.Session, option, name string) finding {
	if name == "" {
		return finding{levelWarn, fmt.Sprintf("[neutron]%s is not set", option), "set it, or " + option +
			" in driver_info of each node"}
	}
	found, err := s.NetworkLike(ctx, name)
	switch {
	case err != nil:
		return finding{levelFail, fmt.Sprintf("[neutron]%s: %v", option, err), "start Neutron, or correct [neutron]"}
	case len(found) != 1:
		return finding{levelFail, fmt.Sprintf("[neutron]%s: there are %d networks with the UUID or name %s", option, len(found), name),
			"name one that there is, by its UUID if the name is not unique"}
	}
	return okay("%s is %s", option, found[0].ID)
}
