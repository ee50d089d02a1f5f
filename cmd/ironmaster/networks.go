package main

import (
	"context"
	"fmt"

	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/neutron"
	"github.com/ironmaster/ironmaster/drivers/neutron/traitnet"
	"github.com/ironmaster/ironmaster/messaging"
)

func newNeutronClient(s *config.Settings) (*neutron.Client, error) {
	n := s.Neutron
	return neutron.NewClient(neutron.ClientConfig{ServiceConfig: serviceConfig("neutron", n.Auth, n.ServiceType),
		RequestTimeout: n.RequestTimeout, Retries: n.Retries})
}

// networkConfig is what the network interfaces flat and neutron go by.
func networkConfig(s *config.Settings, release messaging.Release,
	setClientID func(context.Context, *drivers.Task, string, string) error) (neutron.Config, error) {
	var traits *neutron.TraitRules
	if c := s.Conductor; c.TraitBasedNetworking && release >= messaging.V34_0 {
		source, err := traitnet.Open(c.NetworkTraitsFile)
		if err != nil {
			return neutron.Config{}, fmt.Errorf("[conductor]trait_based_networking_config_file: %w", err)
		}
		traits = &neutron.TraitRules{Source: source, Default: c.NetworkDefaultTrait, MustMatch: c.NetworkTraitsMustMatch}
	}
	n := s.Neutron
	network := func(name string, groups []string) neutron.Ramdisk {
		return neutron.Ramdisk{Network: name, SecurityGroups: groups}
	}
	return neutron.Config{SetClientID: setClientID, Traits: traits, Networks: neutron.Networks{
		Cleaning:     network(n.CleaningNetwork, n.CleaningSecurityGroups),
		Provisioning: network(n.ProvisioningNetwork, n.ProvisioningSecurityGroups),
		Rescuing:     network(n.RescuingNetwork, n.RescuingSecurityGroups),
		Inspection:   network(n.InspectionNetwork, n.InspectionSecurityGroups),
		Servicing:    network(n.ServicingNetwork, n.ServicingSecurityGroups),
		AddAllPorts:  n.AddAllPorts, StatefulAddresses: n.DHCPv6StatefulAddresses, FailOnBindingFailure: n.FailOnPortBindingFailure,
		AllowDisabledPowerOff: n.AllowDisablingPowerOff,
		StatusAttempts:        s.Agent.NeutronAgentMaxAttempts, StatusInterval: s.Agent.NeutronAgentRetryInterval, AgentPoll: s.Agent.NeutronAgentPollInterval,
	}, Behaviour: neutron.Behaviour{
		NamesOptions:       release >= messaging.V2024_1,
		BlankTwice:         release >= messaging.V26_0,
		ExplainsInspection: release >= messaging.V2024_2,
		NameServers:        release >= messaging.V2024_2,
		ChecksPowerOff:     release >= messaging.V28_0,
		SubnetSegments:     release >= messaging.V2025_1,
		FlatMustBind:       release >= messaging.V2025_1,
		AllPortsUnlessPXE:  release >= messaging.V30_0,
		BindsEarly:         release >= messaging.V30_0,
		ChecksAsAdmin:      release >= messaging.V30_0,
		ChecksBinding:      release >= messaging.V30_0,
		UnbindsAvailable:   release >= messaging.V33_0,
		TellsPhysicalNet:   release >= messaging.V33_0,
		AlwaysAsksPhysNets: release >= messaging.V34_0,
		ActsAsService:      release >= messaging.V38_0,
	}}, nil
}
