package main

import (
	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/agent"
	"github.com/ironmaster/ironmaster/drivers/iscsi"
	"github.com/ironmaster/ironmaster/messaging"
)

// deployInterfaces are the deploy interfaces of this build by name. They share direct's way to an agent.
func deployInterfaces(direct *agent.Deploy, overISCSI *iscsi.Deploy, release messaging.Release) map[string]drivers.Deploy {
	return map[string]drivers.Deploy{
		"direct": direct, "iscsi": overISCSI,
		"custom-agent": agent.NewCustomAgent(direct),
		"ramdisk":      agent.NewRamdisk(direct),
		"anaconda":     agent.NewAnaconda(direct, release > messaging.V2026_1),
	}
}
