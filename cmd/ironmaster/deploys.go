package main

import (
	"slices"

	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/agent"
	"github.com/ironmaster/ironmaster/drivers/iscsi"
	"github.com/ironmaster/ironmaster/drivers/noop"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

// deployInterfaces are the deploy interfaces of a release by name. They share direct's way to an agent. autodetect names those that
// autodetect may choose.
func deployInterfaces(direct *agent.Deploy, overISCSI *iscsi.Deploy, release messaging.Release, autodetect []string) map[string]drivers.Deploy {
	all := map[string]drivers.Deploy{
		"direct": direct, "iscsi": overISCSI,
		"custom-agent": agent.NewCustomAgent(direct),
		"ramdisk":      agent.NewRamdisk(direct, ramdiskFromImage(release)),
		"anaconda":     agent.NewAnaconda(direct, release > messaging.V2026_1),
	}
	if release >= messaging.V2025_1 {
		all["bootc"] = agent.NewBootc(direct)
	}
	if release >= messaging.V2026_1 {
		var choices []agent.Choice
		for _, name := range autodetect {
			if deploy := all[name]; deploy != nil {
				choices = append(choices, agent.Choice{Name: name, Deploy: deploy})
			}
		}
		all["autodetect"] = agent.NewAutodetect(direct, choices)
	}
	if release > messaging.V2026_1 {
		all["noop"] = noop.NewDeploy()
	}
	return all
}

// ramdiskFromImage tells that Glance images may name what a ramdisk instance boots.
func ramdiskFromImage(release messaging.Release) bool { return release >= messaging.V2026_1 }

// checkAutodetect refuses interfaces that autodetect could choose and nobody enabled.
func checkAutodetect(d config.Default) error {
	if !slices.Contains(d.EnabledDeploy, "autodetect") {
		return nil
	}
	if len(d.AutodetectDeploy) == 0 {
		return store.Errorf(store.InvalidParameterValue,
			"No valid deploy interfaces found in autodetect_deploy_interfaces configuration.")
	}
	for _, name := range d.AutodetectDeploy {
		if !slices.Contains(d.EnabledDeploy, name) {
			return store.Errorf(store.InvalidParameterValue, "Deploy interface '%[1]s' is configured in autodetect_deploy_interfaces "+
				"but is not in enabled_deploy_interfaces. Please add '%[1]s' to enabled_deploy_interfaces or remove it from "+
				"autodetect_deploy_interfaces.", name)
		}
	}
	return nil
}
