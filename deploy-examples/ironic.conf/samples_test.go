// Package samples holds no code: its tests keep the ironic.conf files of this folder true.
package samples

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/agent"
	"github.com/ironmaster/ironmaster/drivers/catalog"
	"github.com/ironmaster/ironmaster/drivers/fake"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/messaging/rabbit"
)

var releases = []config.Release{config.R2023_1, config.R2025_1, config.Newest}

// TestSamplesLoad loads each sample as `ironmaster conductor --config-file` does, with the defaults of every release.
func TestSamplesLoad(t *testing.T) {
	for _, name := range samples(t) {
		for _, release := range releases {
			s, warnings, err := load(t, name, release)
			if err != nil || len(warnings) > 0 {
				t.Errorf("%s with the defaults of %s: warnings %q, error %v", name, release, warnings, err)
				continue
			}
			if _, err := rabbit.ParseURL(s.Default.TransportURL); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestSamplesEnableWhatTheBuildHas: an interface that an operator names and the build lacks would stop the conductor.
func TestSamplesEnableWhatTheBuildHas(t *testing.T) {
	all := catalog.New(catalog.Parts{Deploys: map[string]drivers.Deploy{"direct": &agent.Deploy{}}, AgentPower: &agent.Power{},
		AgentRAID: &agent.RAID{}, RedfishPower: &redfish.Power{},
		RedfishManagement: &redfish.Management{}, VirtualMedia: fake.NewBoot(fake.Config{}), Firmware: true})
	for _, name := range samples(t) {
		s, _, err := load(t, name, config.R2023_1)
		if err != nil {
			t.Fatal(err)
		}
		d := s.Default
		list := func(names []string) catalog.List { return catalog.List{Names: names, Explicit: true} }
		enabled, warnings, err := catalog.Enable(all, catalog.Config{HardwareTypes: list(d.EnabledHardwareTypes),
			Interfaces: map[drivers.InterfaceType]catalog.List{
				drivers.TypeBIOS: list(d.EnabledBIOS), drivers.TypeBoot: list(d.EnabledBoot),
				drivers.TypeConsole: list(d.EnabledConsole), drivers.TypeDeploy: list(d.EnabledDeploy),
				drivers.TypeFirmware: list(d.EnabledFirmware), drivers.TypeInspect: list(d.EnabledInspect),
				drivers.TypeManagement: list(d.EnabledManagement), drivers.TypeNetwork: list(d.EnabledNetwork),
				drivers.TypePower: list(d.EnabledPower), drivers.TypeRAID: list(d.EnabledRAID),
				drivers.TypeRescue: list(d.EnabledRescue), drivers.TypeStorage: list(d.EnabledStorage),
				drivers.TypeVendor: list(d.EnabledVendor),
			}})
		if err != nil || len(warnings) > 0 {
			t.Errorf("%s: warnings %q, error %v", name, warnings, err)
			continue
		}
		if got := enabled.HardwareTypes(); !slices.Equal(got, []string{"redfish"}) {
			t.Errorf("%s enables %q", name, got)
		}
	}
}

func samples(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("*.conf")
	if err != nil || len(names) == 0 {
		t.Fatalf("found %d samples, %v", len(names), err)
	}
	return names
}

func load(t *testing.T, name string, release config.Release) (*config.Settings, []string, error) {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return config.Load(config.Inputs{
		Flags:   config.Flags{Sources: []config.Source{{Path: filepath.Join(dir, name)}}},
		Release: release, Dir: dir,
		Hostname: func() (string, error) { return "conductor-1.example.org", nil },
		Address:  func() string { return "192.0.2.10" },
	})
}
