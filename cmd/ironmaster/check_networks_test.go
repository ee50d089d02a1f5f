package main

import (
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/drivers/neutron/neutrontest"
)

func TestNetworksAreLookedFor(t *testing.T) {
	server := neutrontest.New(t)
	for _, id := range []string{"clean-1", "twin-1", "twin-2"} {
		server.Add("networks", neutrontest.Object{"id": id, "name": strings.TrimRight(id, "-12")})
	}
	for name, c := range map[string]struct {
		change func(*config.Settings)
		want   []string
	}{
		"noop alone":     {func(s *config.Settings) { s.Default.EnabledNetwork = []string{"noop"} }, nil},
		"not configured": {func(s *config.Settings) { s.Neutron.EndpointOverride = "" }, []string{"warn not configured, and the network interface flat"}},
		"flat":           {func(*config.Settings) {}, []string{"ok cleaning_network is clean-1"}},
		"not set":        {func(s *config.Settings) { s.Neutron.CleaningNetwork = "" }, []string{"warn [neutron]cleaning_network is not set"}},
		"neutron": {func(s *config.Settings) {
			s.Default.EnabledNetwork = []string{"neutron"}
			s.Neutron.ProvisioningNetwork, s.Neutron.RescuingNetwork = "twin", "gone"
		}, []string{"ok cleaning_network is clean-1", "FAIL [neutron]provisioning_network: there are 2 networks",
			"FAIL [neutron]rescuing_network: there are 0 networks"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &config.Settings{}
			s.Default.EnabledNetwork = []string{"flat", "noop"}
			s.Neutron.Type, s.Neutron.EndpointOverride, s.Neutron.CleaningNetwork = "none", server.URL, "clean"
			c.change(s)
			var got []string
			for _, f := range (&checker{first: s}).checkNetworks(t.Context()) {
				got = append(got, string(f.level)+" "+f.text)
			}
			if len(got) != len(c.want) {
				t.Fatalf("found %q, want %q", got, c.want)
			}
			for i, want := range c.want {
				if !strings.HasPrefix(got[i], want) {
					t.Errorf("found %q, want %q", got[i], want)
				}
			}
		})
	}
}
